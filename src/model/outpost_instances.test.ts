import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import {
  beatOutpostInstance,
  isOutpostStreamAlive,
  joinOutpostInstance,
  leaveOutpostInstances,
  listOutpostInstances,
  purgeOutpostInstances,
  trimOutpostInstances,
} from './outpost_instances.ts'

let database: FreshDatabase
before(async () => {
  database = await freshDatabase()
})
after(() => database.drop())

const instance = (more: object = {}) => ({
  instance_id: randomUUID(),
  namespace: 'default',
  name: 'edge',
  hostname: 'h',
  version: '1.0.0',
  network: '192.0.2.1',
  stream_id: randomUUID(),
  ...more,
})
const aliveMs = 16_000
const join = (one: ReturnType<typeof instance>, most = 2) => joinOutpostInstance(database.db, one, { most, aliveMs })
const list = (...names: string[]) =>
  listOutpostInstances(
    database.db,
    names.map((name) => `default/${name}`),
    aliveMs,
  )
/** As if it had come, and been seen, so much earlier. */
const age = ({ instance_id }: { instance_id: string }, seconds: number) =>
  database.db.run(sql`
    update outpost_instances
       set seen_at = seen_at - ${seconds}::integer * interval '1 second', connected_at = connected_at - ${seconds}::integer * interval '1 second'
     where instance_id = ${instance_id}`)

test('of one Outpost only so many live at once, and who was silent or left counts no more', async () => {
  const [first, second, third] = [instance(), instance(), instance()]
  assert.deepEqual([await join(first), await join(second), await join(third)], [1, 1, 0])
  assert.equal(await join(instance({ name: 'other' })), 1)
  // It comes back: it is no further one.
  assert.equal(await join({ ...first, stream_id: randomUUID() }), 1)
  await leaveOutpostInstances(database.db, second)
  assert.equal(await join(third), 1)
  await age(first, 17)
  assert.equal(await join(instance()), 1, 'the first has been silent for long')
})

test('of many that come at once no more live than may', async () => {
  const joined = await Promise.all(Array.from({ length: 20 }, () => join(instance({ name: 'crowded' }), 3)))
  assert.equal(
    joined.reduce((sum, count) => sum + count, 0),
    3,
  )
  assert.equal((await list('crowded')).length, 3)
})

test('an instance is that of one Outpost, and of one stream', async () => {
  const own = instance({ name: 'own' })
  await join(own)
  assert.equal(await join({ ...own, name: 'another' }), 0)
  const beat = (more: object) => beatOutpostInstance(database.db, { ...own, generation: '7', ...more })
  assert.deepEqual([await beat({}), await beat({ name: 'another' }), await beat({ instance_id: randomUUID() })], [1, 0, 0])
  const next = { ...own, stream_id: randomUUID() }
  await join(next)
  const isAlive = (one: typeof own) => isOutpostStreamAlive(database.db, one, aliveMs)
  assert.deepEqual([await isAlive(own), await isAlive(next), (await list('own'))[0]?.is_alive], [false, true, true])
  await age(own, 17)
  assert.deepEqual([await isAlive(next), (await list('own'))[0]?.is_alive], [false, false])
  await beat({})
  assert.deepEqual([await isAlive(next), (await list('own'))[0]?.is_alive], [true, true])
  // The end of the older stream is not that of the newer one.
  assert.equal(await leaveOutpostInstances(database.db, own), 0)
  assert.equal(await leaveOutpostInstances(database.db, next), 1)
  assert.equal((await list('own'))[0]?.is_alive, false)
  assert.equal(await beat({}), 0)
})

test('of those that came and went the newest are kept, and none for ever', async () => {
  for (let index = 0; index < 6; index++) {
    const one = instance({ name: 'restless', hostname: `h${index}` })
    await join(one, 10)
    await age(one, 100 - index)
  }
  await trimOutpostInstances(database.db, { namespace: 'default', name: 'restless' }, 3)
  const left = await list('restless')
  assert.deepEqual(
    left.map(({ hostname }) => hostname),
    ['h5', 'h4', 'h3'],
  )
  await purgeOutpostInstances(database.db, new Date(Date.now() + 3_600_000), 1_000)
  assert.deepEqual(await list('restless', 'edge', 'own'), [])
})
