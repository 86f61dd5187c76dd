import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { createGroup, findGroup } from './groups.ts'
import { createSession, findSession } from './sessions.ts'
import { createUser, deleteUser, findUser, findUserByLogin, listUserResources, listUsers, replaceUser, updateUser } from './users.ts'

const by = { actor: 'tester', network: '192.0.2.1', requestId: 'r1' }
let time = Date.parse('2026-01-02T03:04:05.678Z')
/** Each asked a millisecond later, so that ids have an order. */
const at = () => new Date(time++)
let fresh: FreshDatabase
let db: Database
before(async () => {
  fresh = await freshDatabase()
  db = fresh.db
})
after(() => fresh.drop())

const lastEvent = () =>
  db.one<{ action: string; actor: string; target_kind: string; target_name: string; changes: Record<string, unknown>; data: unknown }>(
    sql`select action, actor, target_kind, target_name, changes, data from events order by event_id desc limit 1`,
  )

const isProblem =
  (code: string, ...pointers: string[]) =>
  (error: unknown) => {
    const problem = error as { code?: string; errors?: { pointer: string }[] }
    assert.equal(problem.code, code, String(error))
    if (pointers.length) assert.deepEqual(problem.errors?.map(({ pointer }) => pointer).sort(), pointers.sort())
    return true
  }

test('a user is created, found and told of', async () => {
  await createGroup(db, { name: 'Made first' }, by, at())
  const user = await createUser(
    db,
    { username: 'Dora', email: 'Dora@Example.com', name: 'Dora D.', locale: 'de-ch', groups: ['made FIRST'], attributes: { desk: 7 } },
    by,
    at(),
  )
  assert.equal(user.locale, 'de-CH')
  assert.deepEqual(user.groups, ['Made first'])
  assert.deepEqual(user.metadata, { namespace: 'default', name: 'dora', labels: {}, annotations: {}, generation: 1 })
  assert.deepEqual(await findUser(db, user.id), user)
  const event = await lastEvent()
  assert.deepEqual([event.action, event.actor, event.target_kind, event.target_name], ['user.created', 'tester', 'User', 'Dora'])
  assert.deepEqual(event.changes['/email'], { after: 'Dora@Example.com' })
})

for (const login of ['dora', 'DORA', ' Dora ', 'ＤＯＲＡ', 'dora@example.COM'])
  test(`sign-in finds by ${JSON.stringify(login)}`, async () => assert.equal((await findUserByLogin(db, login))?.username, 'Dora'))

for (const login of ['', 'dor', 'dora@example.org', 'dora\0', 'x'.repeat(100_000)])
  test(`sign-in finds nobody by ${JSON.stringify(login.slice(0, 20))}`, async () =>
    assert.equal(await findUserByLogin(db, login), undefined))

test('ids that are none find nobody', async () => {
  for (const id of ['', 'dora', "' or 1=1", '00000000-0000-0000-0000-000000000000']) assert.equal(await findUser(db, id), undefined)
})

const refused: [string, object, string[]][] = [
  ['no username', {}, ['/username']],
  ['an empty username', { username: '' }, ['/username']],
  ['a blank username', { username: '  ' }, ['/username']],
  ['a control character', { username: 'a\u0007b' }, ['/username']],
  ['NUL', { username: 'a\0b' }, ['/username']],
  ['a zero-width character', { username: 'ad\u200bmin' }, ['/username']],
  ['a character that turns direction', { username: 'ad\u202emin' }, ['/username']],
  ['half a character', { username: 'a\ud800' }, ['/username']],
  ['a line break', { username: 'a', name: 'b\nc' }, ['/name']],
  ['a username of 256 characters', { username: 'x'.repeat(256) }, ['/username']],
  ['a number for a name', { username: 'a', name: 5 }, ['/name']],
  ['an address without @', { username: 'a', email: 'example.com' }, ['/email']],
  ['an address with two @', { username: 'a', email: 'a@b@c' }, ['/email']],
  ['an address with a line break', { username: 'a', email: 'a@b\nBcc: c@d' }, ['/email']],
  ['a locale that is none', { username: 'a', locale: 'german please' }, ['/locale']],
  ['active as text', { username: 'a', active: 'yes' }, ['/active']],
  ['fields unknown', { username: 'a', admin: true, is_superuser: 1 }, ['/admin', '/is_superuser']],
  ['attributes as list', { username: 'a', attributes: [] }, ['/attributes']],
  ['attributes too deep', { username: 'a', attributes: { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } } }, ['/attributes']],
  ['attributes too large', { username: 'a', attributes: { a: 'x'.repeat(20_000) } }, ['/attributes']],
  ['NUL in an attribute', { username: 'a', attributes: { a: ['x\0'] } }, ['/attributes']],
  ['an attribute without a name', { username: 'a', attributes: { '': 1 } }, ['/attributes']],
  ['several at once', { username: '', email: 'x', locale: '' }, ['/username', '/email', '/locale']],
  ['unknown groups, each', { username: 'a', groups: ['Made first', 'nope', 'neither'] }, ['/groups/1', '/groups/2']],
]

for (const [what, input, pointers] of refused)
  test(`creating refuses ${what}`, () => assert.rejects(createUser(db, input, by, at()), isProblem('invalid', ...pointers)))

test('creating refuses a password hash that is too dear', () =>
  assert.rejects(
    createUser(db, { username: 'rich' }, { ...by, passwordHash: `$6$rounds=999999999$salt$${'a'.repeat(86)}` }, at()),
    isProblem('invalid', '/passwordHash'),
  ))

const taken: [string, object, string[]][] = [
  ['a username in another case', { username: 'DORA' }, ['/username']],
  ['a username in full width', { username: 'Ｄora' }, ['/username']],
  ['an address in another case', { username: 'eve', email: 'DORA@example.com' }, ['/email']],
  ['an address of another as username', { username: 'dora@EXAMPLE.com' }, ['/username']],
  ['both', { username: 'dora', email: 'dora@example.com' }, ['/username', '/email']],
]

for (const [what, input, pointers] of taken)
  test(`creating refuses ${what}`, () => assert.rejects(createUser(db, input, by, at()), isProblem('conflict', ...pointers)))

test('a name of another user is refused as address too', async () => {
  await createUser(db, { username: 'upn@corp.example' }, by, at())
  await assert.rejects(createUser(db, { username: 'fay', email: 'UPN@corp.example' }, by, at()), isProblem('conflict', '/email'))
})

test('of twenty who create one name at once exactly one wins', async () => {
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => createUser(db, { username: i % 2 ? 'racer' : 'RACER', email: `r${i}@example.com` }, by, at())),
  )
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes) if (outcome.status === 'rejected') isProblem('conflict', '/username')(outcome.reason)
  assert.equal((await db.one<{ n: number }>(sql`select count(*)::int as n from users where username_key = 'racer'`)).n, 1)
})

test('two who swap names at once do not wait for each other for ever', async () => {
  const [a, b] = await Promise.all([createUser(db, { username: 'swap-a' }, by, at()), createUser(db, { username: 'swap-b' }, by, at())])
  const outcomes = await Promise.allSettled([
    updateUser(db, a.id, { username: 'swap-b' }, by, at()),
    updateUser(db, b.id, { username: 'swap-a' }, by, at()),
  ])
  for (const outcome of outcomes) if (outcome.status === 'rejected') isProblem('conflict')(outcome.reason)
})

test('a merge patch changes what it names, merges attributes and removes by null', async () => {
  const { id } = await createUser(
    db,
    { username: 'gil', email: 'gil@example.com', name: 'Gil', groups: ['Made first'], attributes: { a: { x: 1, y: 2 }, b: 3 } },
    by,
    at(),
  )
  const user = await updateUser(db, id, { name: null, groups: null, attributes: { a: { y: null, z: 4 }, b: null, c: [5] } }, by, at())
  assert.equal(user.name, null)
  assert.deepEqual(user.groups, [])
  assert.deepEqual(user.attributes, { a: { x: 1, z: 4 }, c: [5] })
  assert.equal(user.email, 'gil@example.com')
  assert.equal(user.metadata.generation, 2)
  const { changes } = await lastEvent()
  assert.deepEqual(changes['/attributes/b'], { before: 3 })
  assert.deepEqual(changes['/groups'], { before: ['Made first'], after: [] })
  assert.equal(changes['/email'], undefined)
})

test('a user sent back as it was read changes nothing, and no event tells of it', async () => {
  const user = await findUserByLogin(db, 'gil')
  assert.ok(user)
  const count = () => db.one<{ n: number }>(sql`select count(*)::int as n from events`)
  const before = await count()
  const { metadata: _, ...sent } = JSON.parse(JSON.stringify(user)) as typeof user
  assert.equal((await updateUser(db, user.id, sent, by, at())).resourceVersion, user.resourceVersion)
  assert.deepEqual(await count(), before)
})

test('a new address is not verified because the old one was', async () => {
  const { id } = await createUser(db, { username: 'hal', email: 'hal@example.com', emailVerified: true }, by, at())
  assert.equal((await updateUser(db, id, { name: 'Hal' }, by, at())).emailVerified, true)
  assert.equal((await updateUser(db, id, { email: 'hal@example.org' }, by, at())).emailVerified, false)
  assert.equal((await updateUser(db, id, { email: 'hal@example.net', emailVerified: true }, by, at())).emailVerified, true)
  assert.equal((await replaceUser(db, id, { username: 'hal', email: 'hal@example.com' }, by, at())).emailVerified, false)
})

test('writing refuses read-only fields, another version and unknown users', async () => {
  const user = await findUserByLogin(db, 'hal')
  assert.ok(user)
  await assert.rejects(updateUser(db, user.id, { id: 'x', createdAt: 'y' }, by, at()), isProblem('invalid', '/id', '/createdAt'))
  await assert.rejects(updateUser(db, user.id, { name: 'H' }, { ...by, resourceVersion: '1' }, at()), isProblem('precondition_failed'))
  await assert.rejects(updateUser(db, user.id, { username: 'dora' }, by, at()), isProblem('conflict', '/username'))
  for (const id of ['x', '00000000-0000-0000-0000-000000000000']) {
    await assert.rejects(updateUser(db, id, {}, by, at()), isProblem('not_found'))
    await assert.rejects(deleteUser(db, id, by, at()), isProblem('not_found'))
  }
})

test('of ten who write one version exactly one wins', async () => {
  const { id, resourceVersion } = await createUser(db, { username: 'ida' }, by, at())
  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) => updateUser(db, id, { name: `Ida ${i}` }, { ...by, resourceVersion }, at())),
  )
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('ten who patch different fields at once lose nothing', async () => {
  const { id } = await createUser(db, { username: 'jan' }, by, at())
  await Promise.all(Array.from({ length: 10 }, (_, i) => updateUser(db, id, { attributes: { [`a${i}`]: i } }, by, at())))
  assert.equal(Object.keys((await findUser(db, id))?.attributes ?? {}).length, 10)
})

test('deactivating and deleting end the sessions', async () => {
  const { id, username } = await createUser(db, { username: 'kim', groups: ['Made first'] }, by, at())
  const begin = () => createSession(db, { user_id: id, username, amr: ['pwd'], acr: '1fa', issuer: 'http://localhost' }, at())
  const first = await begin()
  assert.equal((await findSession(db, first.token, at()))?.user.username, 'kim')
  await updateUser(db, id, { active: false }, by, at())
  assert.equal(await findSession(db, first.token, at()), undefined)
  await updateUser(db, id, { active: true }, by, at())
  assert.equal(await findSession(db, first.token, at()), undefined)
  const second = await begin()
  await deleteUser(db, id, by, at())
  assert.equal(await findSession(db, second.token, at()), undefined)
  assert.equal(await findUser(db, id), undefined)
  const told = await db.any<{ action: string }>(sql`select action from events where target_name = 'kim' and action = 'user.deleted'`)
  assert.equal(told.length, 1)
})

test('membership changes the version of user and group, whichever is written', async () => {
  const group = await createGroup(db, { name: 'versions' }, by, at())
  const user = await createUser(db, { username: 'lea', groups: ['versions'] }, by, at())
  const after = await findGroup(db, group.id)
  assert.deepEqual(after?.members, ['lea'])
  assert.notEqual(after?.resourceVersion, group.resourceVersion)
  await deleteUser(db, user.id, by, at())
  assert.deepEqual((await findGroup(db, group.id))?.members, [])
})

const collect = async (request: Parameters<typeof listUsers>[1]) => {
  const names: string[] = []
  let cursor: string | undefined
  do {
    const page = await listUsers(db, { ...request, cursor })
    assert.ok(page.items.length <= (request.limit ?? 50))
    names.push(...page.items.map(({ username }) => username))
    cursor = page.next ?? undefined
  } while (cursor)
  return names
}

test('a list walks everyone once, in pages', async () => {
  const all = await collect({ limit: 500 })
  assert.ok(all.length > 5)
  for (const limit of [1, 3, all.length]) assert.deepEqual(await collect({ limit }), all)
})

test('search takes any part literally, without regard to case and accents, and walks in pages', async () => {
  const people: [string, string, string][] = [
    ['s-one', 'percent%under_score@search.example', 'Zoë Müller-Łukasz'],
    ['s-two', 'percentXunderYscore@search.example', 'Мария Иванова'],
    ['s-three', 'back\\slash@search.example'.replace('\\', '/'), '山田太郎'],
  ]
  for (const [username, email, name] of people) await createUser(db, { username, email, name }, by, at())
  const found: [string, string[]][] = [
    ['percent%under_', ['s-one']],
    ['percent', ['s-one', 's-two']],
    ['MULLER', ['s-one']],
    ['müller', ['s-one']],
    ['zoe', ['s-one']],
    ['мария', ['s-two']],
    ['ИВАН', ['s-two']],
    ['山田', ['s-three']],
    ['田太', ['s-three']],
    ['search.example', ['s-one', 's-two', 's-three']],
    ['s-', ['s-one', 's-three', 's-two']],
    ['S', ['s-one', 's-three', 's-two', 'swap-a', 'swap-b']],
    ['%', []],
    ['_', []],
    ['%%%', []],
    ['\\', []],
    ["'", []],
    ['nobody at all', []],
    ['one\npercent', []],
    ['a\0b', []],
  ]
  for (const [q, expected] of found) for (const limit of [1, 50]) assert.deepEqual(await collect({ q, limit }), expected, q)
})

for (const [field, request] of [
  ['/cursor', { cursor: 'x' }],
  ['/cursor', { cursor: Buffer.from('["a"]').toString('base64url') }],
  ['/cursor', { cursor: Buffer.from('["a"]').toString('base64url'), q: 'dora' }],
  ['/cursor', { cursor: 'A'.repeat(5_000) }],
  ['/limit', { limit: 0 }],
  ['/limit', { limit: 501 }],
  ['/limit', { limit: 1.5 }],
  ['/limit', { limit: Number.NaN }],
  ['/q', { q: 'x'.repeat(1_001) }],
] as const)
  test(`a list refuses ${JSON.stringify(request).slice(0, 60)}`, () => assert.rejects(listUsers(db, request), isProblem('invalid', field)))

test('users are resources too: by namespace, by labels', async () => {
  const place = (name: string, team: string) => ({ ...by, metadata: { namespace: 'team-a', name, labels: { team }, annotations: {} } })
  const one = await createUser(db, { username: 'res-one' }, place('zz', 'x'), at())
  await createUser(db, { username: 'res-two' }, place('aa', 'y'), at())
  await assert.rejects(createUser(db, { username: 'res-three' }, place('aa', 'y'), at()), isProblem('conflict', '/metadata/name'))
  const names = async (request: Parameters<typeof listUserResources>[1]) =>
    (await listUserResources(db, request)).items.map(({ metadata }) => metadata.name)
  assert.deepEqual(await names({ namespace: 'team-a' }), ['aa', 'zz'])
  assert.deepEqual(await names({ namespace: 'team-a', labels: { team: 'x' } }), ['zz'])
  assert.deepEqual(await names({ labels: { team: 'y' } }), ['aa'])
  assert.deepEqual(await names({ namespace: 'team-b' }), [])
  const relabelled = await replaceUser(db, one.id, { username: 'res-one' }, { ...by, labels: { team: 'y' } }, at())
  assert.equal(relabelled.metadata.generation, 1)
  assert.notEqual(relabelled.resourceVersion, one.resourceVersion)
})
