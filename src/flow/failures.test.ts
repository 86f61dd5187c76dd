import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { addFailure, type Counter, codeCounters, findLockOut, passwordCounters, userCodeCounters } from './failures.ts'

const now = new Date('2026-11-23T12:00:00Z')
let fresh: FreshDatabase
before(async () => {
  fresh = await freshDatabase()
})
after(() => fresh.drop())

const fail = async (times: number, counters: (time: number) => Counter[]) => {
  for (let time = 0; time < times; time++) await addFailure(fresh.db, counters(time), now)
}
const waits = (counters: Counter[]) => findLockOut(fresh.db, counters, now)

test('ten wrong codes lock an account, from whatever networks they came, and no other account', async () => {
  const of = (account: string, network: string) => codeCounters({ account, network })
  await fail(9, (time) => of('ann', `192.0.2.${time}`))
  assert.equal(await waits(of('ann', '192.0.2.100')), undefined)
  await fail(1, () => of('ann', '192.0.2.9'))
  assert.equal(await waits(of('ann', '192.0.2.100')), 900)
  assert.equal(await waits(of('bob', '192.0.2.100')), undefined)
})

test('fifty wrong codes lock a network, of whatever accounts they are, and passwords from there are another matter', async () => {
  const of = (account: string) => codeCounters({ account, network: '2001:db8:1:2::1' })
  await fail(49, (time) => of(`account ${time}`))
  assert.equal(await waits(of('carol')), undefined)
  await fail(1, () => of('account 49'))
  assert.equal(await waits(codeCounters({ account: 'carol', network: '2001:db8:1:2:ffff::9' })), 900)
  assert.equal(await waits(passwordCounters({ username: 'carol', network: '2001:db8:1:2::1' })), undefined)
  assert.equal(await waits(userCodeCounters('2001:db8:1:2::1')), undefined)
})

test('failures at the same moment are all counted', async () => {
  const counters = codeCounters({ account: 'dave', network: '198.51.100.1' })
  await Promise.all(Array.from({ length: 10 }, () => addFailure(fresh.db, counters, now)))
  assert.equal(await waits(counters), 900)
})

test('a name is counted as it is compared, and nobody’s like anybody’s', async () => {
  const of = (username: string) => passwordCounters({ username, network: '198.51.100.2' })
  await fail(10, (time) => of(time % 2 ? ' NOBODY ' : 'nobody'))
  assert.equal(await waits(of('Nobody')), 900)
})
