import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sha256 } from '#/lib/crypto.ts'
import { type Database, sql } from '#/lib/sql.ts'
import { storePassword } from '#/model/passwords.ts'
import { purgeSessions, storeSession } from '#/model/sessions.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { createSession, endSession, endSessionsOf, findSession, listSessions } from './sessions.ts'
import { createUser, type User, updateUser } from './users.ts'

const by = { actor: 'tester' }
const start = new Date('2026-01-02T03:04:05.678Z')
const later = (seconds: number) => new Date(start.getTime() + seconds * 1_000)
let fresh: FreshDatabase
let db: Database
let anna: User
let bert: User
before(async () => {
  fresh = await freshDatabase()
  db = fresh.db
  anna = await createUser(db, { username: 'anna' }, by, start)
  bert = await createUser(db, { username: 'bert' }, by, start)
})
after(() => fresh.drop())

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

const begin = (user: User, now = start, ttl?: number) =>
  createSession(
    db,
    {
      user_id: user.id,
      username: user.username,
      amr: ['pwd'],
      acr: '1fa',
      issuer: 'http://localhost:9000',
      userAgent: firefox,
      network: '192.0.2.7',
      ttl,
    },
    now,
  )

const lastEvent = () =>
  db.one<{ action: string; target_name: string; data: { sessions: string[] } }>(
    sql`select action, target_name, data from events order by time desc, event_id desc limit 1`,
  )

test('a session is found by its token, and only its hash is stored', async () => {
  const { token, uid } = await begin(anna)
  const found = await findSession(db, token, later(1))
  assert.equal(found?.uid, uid)
  assert.equal(found?.user.username, 'anna')
  assert.deepEqual([found?.acr, found?.amr, found?.auth_time], ['1fa', ['pwd'], Math.floor(start.getTime() / 1_000)])
  const { row } = await db.one<{ row: string }>(sql`select sessions::text as row from sessions where uid = ${uid}`)
  assert.ok(!row.includes(token))
  assert.ok(row.includes(sha256(token).toString('hex')))
})

for (const token of ['', 'x', '\0', 'x'.repeat(10_000), "' or true --"])
  test(`no session has the token ${JSON.stringify(token.slice(0, 20))}`, async () =>
    assert.equal(await findSession(db, token, start), undefined))

test('a session is over at its end, and not before', async () => {
  const { token, expiresAt } = await begin(anna, start, 60)
  assert.ok(await findSession(db, token, new Date(expiresAt.getTime() - 1)))
  assert.equal(await findSession(db, token, expiresAt), undefined)
})

test('a session of an inactive user is none, and activating brings none back', async () => {
  const eve = await createUser(db, { username: 'eve' }, by, start)
  const { token } = await begin(eve)
  await db.run(sql`update users set active = false where user_id = ${eve.id}`)
  assert.equal(await findSession(db, token, start), undefined)
  await db.run(sql`update users set active = true where user_id = ${eve.id}`)
  await updateUser(db, eve.id, { active: false }, by, start)
  await updateUser(db, eve.id, { active: true }, by, start)
  assert.equal(await findSession(db, token, start), undefined)
})

test('its use is noted, at most once a minute', async () => {
  const { token, uid } = await begin(anna)
  const lastUsed = async () => (await db.one<{ at: Date }>(sql`select last_used_at as at from sessions where uid = ${uid}`)).at
  await findSession(db, token, later(59))
  assert.deepEqual(await lastUsed(), start)
  await findSession(db, token, later(61))
  assert.deepEqual(await lastUsed(), later(61))
  await findSession(db, token, later(100))
  assert.deepEqual(await lastUsed(), later(61))
})

test('a session stored again under its uid has only its new token', async () => {
  const { token, uid } = await begin(anna)
  const payload = { uid, accountId: anna.id, amr: ['pwd'] }
  const rotated = { uid, token_hash: sha256('rotated'), user_id: anna.id, issuer: null, payload, user_agent: null, network: null }
  await storeSession(db, { ...rotated, expires_at: later(600) }, later(1))
  assert.equal(await findSession(db, token, later(2)), undefined)
  const found = await findSession(db, 'rotated', later(2))
  assert.equal(found?.uid, uid)
  assert.equal(found?.issuer, 'http://localhost:9000')
})

test('a person sees their live sessions, newest first, in pages, and where they are', async () => {
  const cleo = await createUser(db, { username: 'cleo' }, by, start)
  const uids: string[] = []
  for (let i = 0; i < 5; i++) uids.unshift((await begin(cleo, later(i))).uid)
  await begin(cleo, later(-100), 50)
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await listSessions(db, cleo.id, { limit: 2, cursor }, later(10))
    seen.push(...page.items.map(({ id }) => id))
    assert.deepEqual([page.items[0]?.device, page.items[0]?.network, page.items[0]?.acr], ['Firefox, Linux', '192.0.2.7', '1fa'])
    cursor = page.next ?? undefined
  } while (cursor)
  assert.deepEqual(seen, uids)
})

test('ending one leaves the others and is told of', async () => {
  const [one, two, three] = [await begin(bert), await begin(bert), await begin(bert)]
  assert.equal(await endSession(db, one.uid, by, later(2001), anna.id), false)
  assert.equal(await endSession(db, one.uid, by, later(2001), bert.id), true)
  assert.deepEqual(await lastEvent(), { action: 'session.ended', target_name: 'bert', data: { sessions: [one.uid], count: 1 } })
  assert.equal(await endSession(db, one.uid, by, later(2001)), false)
  assert.equal(await findSession(db, one.token, later(2002)), undefined)
  assert.ok(await findSession(db, two.token, later(2002)))
  assert.equal(await endSession(db, two.uid, by, later(2003)), true)
  assert.equal(await endSession(db, two.uid, by, later(2003)), false)
  assert.equal(await findSession(db, two.token, later(2004)), undefined)
  assert.ok(await findSession(db, three.token, later(2004)))
})

test('ending all may keep the one in hand', async () => {
  const [one, two] = [await begin(bert), await begin(bert)]
  await endSessionsOf(db, bert.id, by, later(1), two.uid)
  assert.equal(await findSession(db, one.token, later(2)), undefined)
  assert.ok(await findSession(db, two.token, later(2)))
})

test('of ten who end one session at once one does', async () => {
  const { uid } = await begin(anna)
  const ended = await Promise.all(Array.from({ length: 10 }, () => endSession(db, uid, by, later(1))))
  assert.equal(ended.filter(Boolean).length, 1)
})

test('expired sessions are purged in batches, several purgers share the work, live ones stay', async () => {
  await db.run(sql`delete from sessions`)
  const live = await begin(anna, start, 10_000)
  for (let i = 0; i < 25; i++) await begin(anna, start, 10)
  assert.equal(await purgeSessions(db, later(60), 10), 10)
  const counts = await Promise.all([purgeSessions(db, later(60), 10), purgeSessions(db, later(60), 10)])
  assert.equal(counts.reduce((sum, count) => sum + count, 0) + (await purgeSessions(db, later(60), 1_000)), 15)
  assert.ok(await findSession(db, live.token, later(60)))
})

test('no session begins with a password that was changed meanwhile', async () => {
  const dora = await createUser(db, { username: 'dora' }, by, start)
  const with_ = (passwordVersion: number) =>
    createSession(
      db,
      { user_id: dora.id, username: 'dora', amr: ['pwd'], acr: '1fa', issuer: 'http://localhost:9000', passwordVersion },
      start,
    )
  assert.ok(await with_(0), 'who has none has none still')
  await storePassword(db, dora.id, 'a hash', later(1))
  await assert.rejects(with_(0), { code: 'conflict' })
  assert.ok(await with_(later(1).getTime()))
  await storePassword(db, dora.id, 'another hash', later(2))
  await assert.rejects(with_(later(1).getTime()), { code: 'conflict' })
  const { count } = await db.one<{ count: number }>(sql`select count(*)::integer as count from sessions where user_id = ${dora.id}`)
  assert.equal(count, 2)
})
