import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Database, sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import {
  changeMembers,
  createGroup,
  deleteGroup,
  effectiveGroups,
  findGroup,
  groupsAbove,
  listGroups,
  replaceGroup,
  updateGroup,
} from './groups.ts'
import { createUser, findUser, updateUser } from './users.ts'

const by = { actor: 'tester' }
let time = Date.parse('2026-01-02T03:04:05.678Z')
/** Each asked a millisecond later, so that ids have an order. */
const at = () => new Date(time++)
let fresh: FreshDatabase
let db: Database
const users: Record<string, string> = {}
before(async () => {
  fresh = await freshDatabase()
  db = fresh.db
  for (const username of ['Anna', 'bert', 'Cleo']) users[username] = (await createUser(db, { username }, by, at())).id
})
after(() => fresh.drop())

const findByName = async (name: string) =>
  (await listGroups(db, { q: name })).items.find((group) => group.name.toLowerCase() === name.toLowerCase())

const isProblem =
  (code: string, ...pointers: string[]) =>
  (error: unknown) => {
    const problem = error as { code?: string; errors?: { pointer: string }[] }
    assert.equal(problem.code, code, String(error))
    if (pointers.length) assert.deepEqual(problem.errors?.map(({ pointer }) => pointer).sort(), pointers.sort())
    return true
  }

test('a group names its members by username and its parents by name', async () => {
  await createGroup(db, { name: 'Everyone' }, by, at())
  const group = await createGroup(db, { name: 'Team', members: ['anna', 'BERT', 'Anna'], parents: ['everyone'] }, by, at())
  assert.deepEqual(group.members, ['Anna', 'bert'])
  assert.deepEqual(group.parents, ['Everyone'])
  assert.equal(group.membersTruncated, false)
  assert.deepEqual(await findGroup(db, group.id), group)
  assert.deepEqual(await findByName('TEAM'), group)
  assert.deepEqual((await findUser(db, users.Anna ?? ''))?.groups, ['Team'])
})

const refused: [string, object, string, string[]][] = [
  ['no name', {}, 'invalid', ['/name']],
  ['unknown members, each', { name: 'x', members: ['anna', 'nope', 'neither'] }, 'invalid', ['/members/1', '/members/2']],
  ['unknown parents', { name: 'x', parents: ['Everyone', 'nope'] }, 'invalid', ['/parents/1']],
  ['fields unknown', { name: 'x', admins: [] }, 'invalid', ['/admins']],
  ['too many members', { name: 'x', members: Array.from({ length: 10_001 }, (_, i) => `u${i}`) }, 'invalid', ['/members']],
  ['a name in another case', { name: 'TEAM' }, 'conflict', ['/name']],
]

for (const [what, input, code, pointers] of refused)
  test(`creating refuses ${what}`, () => assert.rejects(createGroup(db, input, by, at()), isProblem(code, ...pointers)))

test('of twenty who create one name at once exactly one wins', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => createGroup(db, { name: 'Race' }, by, at())))
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes) if (outcome.status === 'rejected') isProblem('conflict', '/name')(outcome.reason)
})

test('a member of a child is a member of its parents', async () => {
  await createGroup(db, { name: 'Root' }, by, at())
  await createGroup(db, { name: 'Middle', parents: ['Root'] }, by, at())
  const leaf = await createGroup(db, { name: 'Leaf', parents: ['Middle', 'Everyone'], members: ['Cleo'] }, by, at())
  assert.deepEqual(await effectiveGroups(db, users.Cleo ?? ''), ['Everyone', 'Leaf', 'Middle', 'Root'])
  assert.deepEqual(await groupsAbove(db, leaf.id), ['Everyone', 'Middle', 'Root'])
  assert.deepEqual(await effectiveGroups(db, users.Anna ?? ''), ['Everyone', 'Team'])
})

test('nesting refuses a cycle, itself and more than ten steps', async () => {
  const root = await findByName('Root')
  const middle = await findByName('Middle')
  assert.ok(root && middle)
  await assert.rejects(updateGroup(db, root.id, { parents: ['Leaf'] }, by, at()), isProblem('invalid', '/parents/0'))
  await assert.rejects(updateGroup(db, root.id, { parents: ['Everyone', 'Middle'] }, by, at()), isProblem('invalid', '/parents/1'))
  await assert.rejects(updateGroup(db, root.id, { parents: ['Root'] }, by, at()), isProblem('invalid', '/parents/0'))
  const chain = [await createGroup(db, { name: 'c0' }, by, at())]
  for (let i = 1; i <= 10; i++) chain.push(await createGroup(db, { name: `c${i}`, parents: [`c${i - 1}`] }, by, at()))
  await assert.rejects(createGroup(db, { name: 'c11', parents: ['c10'] }, by, at()), isProblem('invalid', '/parents/0'))
  // From above as well: what hangs below counts.
  await assert.rejects(updateGroup(db, chain[0]?.id ?? '', { parents: ['Root'] }, by, at()), isProblem('invalid', '/parents/0'))
})

test('two who nest into one another at once make no cycle', async () => {
  const [a, b] = [await createGroup(db, { name: 'cycle-a' }, by, at()), await createGroup(db, { name: 'cycle-b' }, by, at())]
  const outcomes = await Promise.allSettled([
    updateGroup(db, a.id, { parents: ['cycle-b'] }, by, at()),
    updateGroup(db, b.id, { parents: ['cycle-a'] }, by, at()),
  ])
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('members written from both sides at once are all kept, and nobody waits for ever', async () => {
  const names = Array.from({ length: 12 }, (_, i) => `both-${i}`)
  const ids = await Promise.all(names.map(async (username) => (await createUser(db, { username }, by, at())).id))
  const [one, two] = [await createGroup(db, { name: 'both-one' }, by, at()), await createGroup(db, { name: 'both-two' }, by, at())]
  await Promise.all([
    ...ids
      .slice(0, 6)
      .map((id, i) => updateUser(db, id, { groups: i % 2 ? ['both-one', 'both-two'] : ['both-two', 'both-one'] }, by, at())),
    ...names.slice(6).map((name) => changeMembers(db, one.id, { add: [name] }, by, at())),
    ...names.slice(6).map((name) => changeMembers(db, two.id, { add: [name] }, by, at())),
  ])
  assert.deepEqual(new Set((await findGroup(db, one.id))?.members), new Set(names))
  assert.deepEqual(new Set((await findGroup(db, two.id))?.members), new Set(names))
})

test('a merge patch replaces lists, null empties them, and a replacement leaves unnamed ones', async () => {
  const { id } = await createGroup(
    db,
    { name: 'patched', members: ['anna', 'bert'], parents: ['Everyone'], attributes: { a: 1, b: 2 } },
    by,
    at(),
  )
  const patched = await updateGroup(db, id, { members: ['bert', 'cleo'], attributes: { a: null } }, by, at())
  assert.deepEqual([patched.members, patched.parents, patched.attributes], [['bert', 'Cleo'], ['Everyone'], { b: 2 }])
  assert.equal(patched.metadata.generation, 2)
  const replaced = await replaceGroup(db, id, { name: 'Renamed' }, by, at())
  assert.deepEqual(
    [replaced.name, replaced.members, replaced.parents, replaced.attributes],
    ['Renamed', ['bert', 'Cleo'], ['Everyone'], {}],
  )
  const emptied = await updateGroup(db, id, { members: null, parents: null }, by, at())
  assert.deepEqual([emptied.members, emptied.parents], [[], []])
  const { resourceVersion } = emptied
  assert.equal((await updateGroup(db, id, { members: [] }, by, at())).resourceVersion, resourceVersion)
  await assert.rejects(updateGroup(db, id, { name: 'x' }, { ...by, resourceVersion: '1' }, at()), isProblem('precondition_failed'))
  await assert.rejects(updateGroup(db, id, { name: 'team' }, by, at()), isProblem('conflict', '/name'))
})

test('a deleted group leaves its members users and its children groups', async () => {
  const { id } = await createGroup(db, { name: 'short-lived', members: ['anna'] }, by, at())
  await createGroup(db, { name: 'its-child', parents: ['short-lived'] }, by, at())
  await deleteGroup(db, id, by, at())
  assert.equal(await findGroup(db, id), undefined)
  assert.deepEqual((await findByName('its-child'))?.parents, [])
  assert.deepEqual((await findUser(db, users.Anna ?? ''))?.groups, ['Team'])
  await assert.rejects(deleteGroup(db, id, by, at()), isProblem('not_found'))
  const { action, target_name } = await db.one<{ action: string; target_name: string }>(
    sql`select action, target_name from events order by event_id desc limit 1`,
  )
  assert.deepEqual([action, target_name], ['group.deleted', 'short-lived'])
})

test('a group with more members than are shown says so and is not written as a list', async () => {
  await db.run(sql`
    insert into users (user_id, namespace, resource_name, username, username_key, search_text, created_at, updated_at)
    select gen_random_uuid(), 'many', 'm' || i, 'm' || i, 'm' || i, 'm' || i, now(), now()
      from generate_series(1, 10050) as i`)
  const group = await createGroup(db, { name: 'crowd' }, by, at())
  await db.run(sql`insert into group_members (group_id, user_id) select ${group.id}, user_id from users where namespace = 'many'`)
  const crowd = await findGroup(db, group.id)
  assert.equal(crowd?.members.length, 10_000)
  assert.equal(crowd?.membersTruncated, true)
  const listed = (await listGroups(db, { q: 'crowd' })).items[0]
  assert.equal(listed?.members.length, 100)
  assert.equal(listed?.membersTruncated, true)
  await assert.rejects(updateGroup(db, group.id, { members: crowd?.members ?? [] }, by, at()), isProblem('invalid', '/members'))
  assert.deepEqual((await updateGroup(db, group.id, { attributes: { still: 'writable' } }, by, at())).attributes, { still: 'writable' })
  await changeMembers(db, group.id, { add: ['anna'], remove: ['m1', 'm2'] }, by, at())
  const { n } = await db.one<{ n: number }>(sql`select count(*)::int as n from group_members where group_id = ${group.id}`)
  assert.equal(n, 10_049)
  await deleteGroup(db, group.id, by, at())
  assert.equal(await findGroup(db, group.id), undefined)
})

test('members are read by key, whatever the tables held when the statement was planned', async () => {
  const plan = await db.any<Record<string, string>>(sql`
    explain (costs off) select username from group_members_shown where group_id = ${randomUUID()} order by user_id limit 100`)
  const lines = plan.flatMap((row) => Object.values(row)).join('\n')
  assert.match(lines, /Index.* on group_members/)
  assert.doesNotMatch(lines, /Join|Nested Loop|Seq Scan on group_members/)
})

test('groups are listed and searched in pages', async () => {
  const collect = async (q: string, limit: number) => {
    const names: string[] = []
    let cursor: string | undefined
    do {
      const page = await listGroups(db, { q, limit, cursor })
      names.push(...page.items.map(({ name }) => name))
      cursor = page.next ?? undefined
    } while (cursor)
    return names
  }
  const all = await collect('', 500)
  assert.deepEqual(await collect('', 3), all)
  assert.deepEqual(await collect('cycle-', 1), ['cycle-a', 'cycle-b'])
  assert.deepEqual(await collect('c1', 1), ['c1', 'c10'])
})
