import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { createEventPartitions, dropEventPartitions, type EventFilter, listEvents } from '#/model/events.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { changesBetween } from './changes.ts'
import { recordEvent } from './record.ts'

let fresh: FreshDatabase

before(async () => {
  fresh = await freshDatabase()
  for (const [minute, action, actor] of [
    [1, 'user.created', 'ada'],
    [2, 'user.updated', 'bob'],
    [3, 'users.imported', 'ada'],
    [4, 'sign_in.failed', 'carol'],
  ] as const)
    await recordEvent(fresh.db, { action, actor, target: { kind: 'User', name: `10%_${minute}` }, network: '192.0.2.1' }, at(minute))
})
after(() => fresh.drop())

const at = (minute: number) => new Date(Date.UTC(2031, 0, 1, 0, minute))
const actions = async (filter: Partial<EventFilter>) => (await listEvents(fresh.db, { limit: 100, ...filter })).map(({ action }) => action)

for (const [title, filter, expected] of [
  ['everything, newest first', {}, ['sign_in.failed', 'users.imported', 'user.updated', 'user.created']],
  ['oldest first', { order: 'asc', limit: 2 }, ['user.created', 'user.updated']],
  ['since, inclusive', { since: at(3) }, ['sign_in.failed', 'users.imported']],
  ['until, exclusive', { until: at(2) }, ['user.created']],
  ['an action', { action: 'user.created' }, ['user.created']],
  ['a prefix of actions', { action: 'user.' }, ['user.updated', 'user.created']],
  ['an actor', { actor: 'ada' }, ['users.imported', 'user.created']],
  ['part of a target, literally', { q: '0%_2' }, ['user.updated']],
  ['part of an action, in any case', { q: 'SIGN_IN' }, ['sign_in.failed']],
  ['what nobody did', { q: 'nobody' }, []],
] as const)
  test(`events: ${title}`, async () => {
    assert.deepEqual(await actions(filter), expected)
  })

test('events: the next page begins after the last one seen', async () => {
  const [first, second] = await listEvents(fresh.db, { limit: 2 })
  assert.ok(first && second)
  assert.deepEqual(await actions({ after: { time: second.time, event_id: second.event_id } }), ['user.updated', 'user.created'])
})

test('events: what PostgreSQL has no place for is replaced, what is too much is left out', async () => {
  await recordEvent(
    fresh.db,
    {
      action: 'odd',
      actor: 'a\0b',
      data: { zero: 'x\0y', half: '\ud800', back: '\\u0000', many: 'z' },
      changes: { '/x': { after: 'y'.repeat(100_000) } },
    },
    at(10),
  )
  const [event] = await listEvents(fresh.db, { action: 'odd', limit: 1 })
  assert.deepEqual(event?.data, { zero: 'x\ufffdy', half: '\ufffd', back: '\\u0000', many: 'z' })
  assert.deepEqual([event?.actor, event?.changes?.truncated], ['a\ufffdb', true])
})

test('events: an event is taken back with its transaction', async () => {
  await assert.rejects(
    fresh.db.transaction(async (tx) => {
      await recordEvent(tx, { action: 'undone', actor: 'ada' }, at(11))
      throw new Error('no')
    }),
  )
  assert.deepEqual(await actions({ action: 'undone' }), [])
})

test('events: partitions are made ahead, take over what came before them, and are dropped when they are old', async () => {
  const partitions = async () =>
    (await fresh.db.any<{ name: string }>(sql`select tableoid::regclass::text as name from events group by 1 order by 1`)).map(
      ({ name }) => name,
    )
  assert.deepEqual(await partitions(), ['events_default'])
  assert.equal(await createEventPartitions(fresh.db, at(0), 1), 2)
  assert.equal(await createEventPartitions(fresh.db, at(0), 1), 0)
  assert.deepEqual(await partitions(), ['events_2031_01'])
  assert.ok(!(await dropEventPartitions(fresh.db, new Date('2031-01-31T23:59:59Z'))).includes('events_2031_01'))
  assert.equal((await actions({})).length, 5)
  assert.ok((await dropEventPartitions(fresh.db, new Date('2031-02-01T00:00:00Z'))).includes('events_2031_01'))
  assert.deepEqual(await actions({}), [])
})

test('events: those of one transaction are written at its end, however many', async () => {
  const many = Array.from({ length: 250 }, (_, index) => `many.${index}`)
  await fresh.db.transaction(async (tx) => {
    for (const action of many) await tx.transaction((inner) => recordEvent(inner, { action, actor: 'ada' }, at(30)))
  })
  assert.deepEqual((await actions({ action: 'many.', order: 'asc', limit: 300 })).sort(), [...many].sort())
})

test('changes: fields that differ, by pointer; lists as a whole', () => {
  assert.deepEqual(changesBetween({ a: 1, b: { c: [1], 'd/e': 'x' }, f: 1 }, { a: 1, b: { c: [1, 2], 'd/e': 'y' }, g: null }), {
    '/b/c': { before: [1], after: [1, 2] },
    '/b/d~1e': { before: 'x', after: 'y' },
    '/f': { before: 1 },
    '/g': { after: null },
  })
})
