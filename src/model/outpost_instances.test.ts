import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
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

const start = Date.parse('2026-03-01T12:00:00Z')
const at = (seconds: number) => new Date(start + seconds * 1_000)
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
const join = (one: ReturnType<typeof instance>, seconds: number, most = 2) =>
  joinOutpostInstance(database.db, one, { most, aliveSince: at(seconds - 16) }, at(seconds))

test('of one Outpost only so many live at once, and who was silent or left counts no more', async () => {
  const [first, second, third] = [instance(), instance(), instance()]
  assert.deepEqual([await join(first, 0), await join(second, 0), await join(third, 1)], [1, 1, 0])
  assert.equal(await join(instance({ name: 'other' }), 1), 1)
  // It comes back: it is no further one.
  assert.equal(await join({ ...first, stream_id: randomUUID() }, 2), 1)
  await leaveOutpostInstances(database.db, second, at(3))
  assert.equal(await join(third, 4), 1)
  assert.equal(await join(instance(), 19), 1, 'the first has been silent for long')
})

test('an instance is that of one Outpost, and of one stream', async () => {
  const own = instance({ name: 'own' })
  await join(own, 0)
  assert.equal(await join({ ...own, name: 'another' }, 1), 0)
  const beat = (more: object) => beatOutpostInstance(database.db, { ...own, generation: '7', ...more }, at(5))
  assert.deepEqual([await beat({}), await beat({ name: 'another' }), await beat({ instance_id: randomUUID() })], [1, 0, 0])
  const next = { ...own, stream_id: randomUUID() }
  await join(next, 6)
  assert.deepEqual(
    [await isOutpostStreamAlive(database.db, own, at(0)), await isOutpostStreamAlive(database.db, next, at(0))],
    [false, true],
  )
  assert.equal(await isOutpostStreamAlive(database.db, next, at(7)), false)
  // The end of the older stream is not that of the newer one.
  assert.equal(await leaveOutpostInstances(database.db, own, at(8)), 0)
  assert.equal(await leaveOutpostInstances(database.db, next, at(8)), 1)
  assert.equal(await beat({}), 0)
})

test('of those that came and went the newest are kept, and none for ever', async () => {
  for (let index = 0; index < 6; index++) await join(instance({ name: 'restless', hostname: `h${index}` }), 100 + 20 * index)
  await trimOutpostInstances(database.db, { namespace: 'default', name: 'restless' }, 3)
  const left = await listOutpostInstances(database.db, ['default/restless'])
  assert.deepEqual(
    left.map(({ hostname }) => hostname),
    ['h5', 'h4', 'h3'],
  )
  await purgeOutpostInstances(database.db, at(10_000), 1_000)
  assert.deepEqual(await listOutpostInstances(database.db, ['default/restless', 'default/edge', 'default/own']), [])
})
