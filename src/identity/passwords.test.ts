import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { defaultPasswordRules, passwordRules } from '#/kinds/user_store.ts'
import { Problem } from '#/lib/problem.ts'
import { type Database, sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import {
  checkPassword,
  findLogin,
  importPasswordHash,
  openPasswordHasher,
  passwordExpired,
  setPassword,
  UnfitPassword,
} from './passwords.ts'
import { createSession, findSession } from './sessions.ts'
import { createUser, updateUser } from './users.ts'

const by = { actor: 'tester', rules: defaultPasswordRules }
const now = new Date('2026-01-02T03:04:05.678Z')
const passwords = openPasswordHasher()
let fresh: FreshDatabase
let db: Database
const deps = () => ({ db, passwords })
const check = async (login: string, plain: string) => checkPassword(deps(), await findLogin(db, login), plain)
before(async () => {
  fresh = await freshDatabase()
  db = fresh.db
})
after(async () => {
  await passwords.close()
  await fresh.drop()
})

const storedHash = async (user_id: string) =>
  (await db.maybeOne<{ hash: string }>(sql`select hash from passwords where user_id = ${user_id}`))?.hash

test('a password that was set signs in, by name and by address, and no other does', async () => {
  const { id } = await createUser(db, { username: 'anna', email: 'anna@example.com' }, by, now)
  assert.equal(await check('anna', 'correct horse'), undefined)
  await setPassword(deps(), id, 'correct horse', by, now)
  assert.equal((await check('ANNA', 'correct horse'))?.id, id)
  assert.equal((await check('anna@example.com', 'correct horse'))?.id, id)
  for (const plain of ['', 'wrong horse', 'correct horse ', 'correct horse\0', 'x'.repeat(5_000)])
    assert.equal(await check('anna', plain), undefined)
  assert.equal(await check('nobody', 'correct horse'), undefined)
})

test('the event of a new password has neither password nor hash', async () => {
  const event = await db.one<{ text: string }>(sql`select events::text as text from events where action = 'user.password_changed'`)
  assert.ok(!event.text.includes('horse') && !event.text.includes('argon2'))
})

for (const [what, plain] of [
  ['a short one', 'seven77'],
  ['an empty one', ''],
  ['NUL in it', 'correct\0horse'],
  ['one of more than 1024 bytes', 'ä'.repeat(600)],
] as const)
  test(`setting a password refuses ${what}`, async () => {
    const { id } = await createUser(db, { username: `refused ${what}` }, by, now)
    await assert.rejects(
      setPassword(deps(), id, plain, by, now),
      (error) => error instanceof Problem && error.errors[0]?.pointer === '/password',
    )
  })

test('inactive users and service accounts do not sign in with a password', async () => {
  const { id } = await createUser(db, { username: 'idle' }, by, now)
  await setPassword(deps(), id, 'correct horse', by, now)
  await updateUser(db, id, { active: false }, by, now)
  assert.equal(await check('idle', 'correct horse'), undefined)
  await updateUser(db, id, { active: true, serviceAccount: true }, by, now)
  assert.equal(await storedHash(id), undefined)
  await assert.rejects(setPassword(deps(), id, 'correct horse', by, now), Problem)
  await assert.rejects(importPasswordHash(db, id, '{SHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM=', by, now), Problem)
  await assert.rejects(
    createUser(db, { username: 'robot', serviceAccount: true }, { ...by, passwordHash: '{SHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM=' }, now),
    (error) => error instanceof Problem && error.errors[0]?.pointer === '/passwordHash',
  )
})

test('an imported hash signs in, and from then on the password is stored as ours', async () => {
  const imported = '$6$K.xMqOAR7fWlq5zo$qBeOqXwwoWLs60FkoQ51.REyY8qrGto8avT60.RTVl/FbaiDMkIrGq8Aphw9aur9UgSpd.xaF5m3LWkWRdPIk1'
  const { id } = await createUser(db, { username: 'import' }, { ...by, passwordHash: imported }, now)
  assert.equal(await check('import', 'wrong'), undefined)
  assert.equal(await storedHash(id), imported)
  assert.equal((await check('import', 'pässword-ü 1'))?.id, id)
  assert.match((await storedHash(id)) ?? '', /^\$argon2id\$/)
  assert.equal((await check('import', 'pässword-ü 1'))?.id, id)
  assert.equal(await check('import', 'wrong'), undefined)
})

test('a password that was changed while the old one was hashed anew stays', async () => {
  const quick = '{SHA}xF+5QEyCqxO5ePSB2JmBm8tCMgM='
  const { id } = await createUser(db, { username: 'quick' }, { ...by, passwordHash: quick }, now)
  await Promise.all([check('quick', 'pässword-ü 1'), setPassword(deps(), id, 'correct horse', by, now)])
  assert.equal((await check('quick', 'correct horse'))?.id, id)
  assert.equal(await check('quick', 'pässword-ü 1'), undefined)
})

test('a new password ends the sessions but the one in which it was changed', async () => {
  const { id, username } = await createUser(db, { username: 'kept' }, by, now)
  const begin = () => createSession(db, { user_id: id, username, amr: ['pwd'], acr: '1fa', issuer: 'http://localhost' }, now)
  const [mine, other] = [await begin(), await begin()]
  await setPassword(deps(), id, 'correct horse', { ...by, keepSession: mine.uid }, now)
  assert.ok(await findSession(db, mine.token, now))
  assert.equal(await findSession(db, other.token, now), undefined)
  await setPassword(deps(), id, 'correct horse 2', by, now)
  assert.equal(await findSession(db, mine.token, now), undefined)
})

const codes = async (setting: Promise<void>) => {
  try {
    await setting
    return []
  } catch (error) {
    assert.ok(error instanceof UnfitPassword, String(error))
    assert.ok(error.errors.every(({ pointer }) => pointer === '/password'))
    assert.equal(error.errors.length, error.mistakes.length)
    return error.mistakes.map(({ code }) => code)
  }
}

test('every mistake is named at once, and nothing has changed', async () => {
  const { id } = await createUser(db, { username: 'mistaken', name: 'Mira Staken' }, by, now)
  const rules = passwordRules.parse({ minLength: 12, minStrength: 3, forbidPersonal: true })
  assert.deepEqual(await codes(setPassword(deps(), id, 'mira1234', { ...by, rules }, now)), [
    'password_too_short',
    'password_personal',
    'password_weak',
  ])
  assert.equal(await storedHash(id), undefined)
  assert.deepEqual(await codes(setPassword(deps(), id, 'violet otters juggle', { ...by, rules }, now)), [])
})

const historyOf = (user_id: string) => db.any(sql`select hash from password_history where user_id = ${user_id}`)

test('of the last three passwords none is taken again, and only as many hashes are kept as that needs', async () => {
  const { id } = await createUser(db, { username: 'forgetful' }, by, now)
  const set = (plain: string, history = 3) => codes(setPassword(deps(), id, plain, { ...by, rules: passwordRules.parse({ history }) }, now))
  for (const plain of ['first password', 'second password', 'third password']) assert.deepEqual(await set(plain), [])
  for (const plain of ['first password', 'second password', 'third password']) assert.deepEqual(await set(plain), ['password_reused'])
  assert.deepEqual(await set('fourth password'), [])
  assert.equal((await historyOf(id)).length, 2)
  assert.deepEqual(await set('first password'), [])
  assert.deepEqual(await set('third password'), ['password_reused'])
  assert.deepEqual(await set('fifth password', 1), [])
  assert.deepEqual(await historyOf(id), [])
  assert.deepEqual(await set('fifth password', 1), ['password_reused'])
  assert.deepEqual(await set('fifth password', 0), [])
})

test('earlier passwords go with the person, and when they become a program', async () => {
  const { id } = await createUser(db, { username: 'leaver' }, by, now)
  const rules = passwordRules.parse({ history: 10 })
  const set = (plain: string) => setPassword(deps(), id, plain, { ...by, rules }, now)
  await set('first password')
  await set('second password')
  assert.equal((await historyOf(id)).length, 1)
  await updateUser(db, id, { serviceAccount: true }, by, now)
  assert.deepEqual(await historyOf(id), [])
  await updateUser(db, id, { serviceAccount: false }, by, now)
  await set('third password')
  await set('fourth password')
  await db.run(sql`delete from users where user_id = ${id}`)
  assert.deepEqual(await historyOf(id), [])
})

test('a password that has leaked is refused; a list that can not be read refuses all, and is one event', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-breached-'))
  const digest = hash('sha1', 'correct horse', 'hex').toUpperCase()
  writeFileSync(join(folder, digest.slice(0, 5)), `${digest.slice(5)}:12`)
  const judging = openPasswordHasher({ breachedPasswordsDir: folder })
  try {
    const { id } = await createUser(db, { username: 'leaked' }, by, now)
    const set = (plain: string, rules = defaultPasswordRules) => setPassword({ db, passwords: judging }, id, plain, { ...by, rules }, now)
    assert.deepEqual(await codes(set('correct horse')), ['password_breached'])
    await set('correct horse', passwordRules.parse({ breached: false }))
    await set('violet otters juggle')
    rmSync(folder, { recursive: true })
    for (const plain of ['violet otters', 'correct horse'])
      await assert.rejects(
        set(plain),
        (error) => error instanceof Problem && error.code === 'unavailable' && !error.detail.includes(folder),
      )
    const events = await db.any<{ text: string }>(sql`
      select events::text as text from events where action = 'configuration.error' and target_name = 'BREACHED_PASSWORDS_DIR'`)
    assert.equal(events.length, 1)
    assert.ok(!events[0]?.text.includes('otters'))
    assert.equal((await checkPassword({ db, passwords: judging }, await findLogin(db, 'leaked'), 'violet otters juggle'))?.id, id)
  } finally {
    await judging.close()
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a password expires, and who has none has nothing to renew', async () => {
  const { id } = await createUser(db, { username: 'old' }, by, now)
  const rules = passwordRules.parse({ maxAge: '720h' })
  const later = new Date(now.getTime() + 720 * 3_600_000)
  assert.equal(await passwordExpired(db, { id }, rules, later), false)
  await setPassword(deps(), id, 'correct horse', by, now)
  assert.equal(await passwordExpired(db, { id }, rules, new Date(later.getTime() - 1)), false)
  assert.equal(await passwordExpired(db, { id }, rules, later), true)
  assert.equal(await passwordExpired(db, { id }, defaultPasswordRules, later), false)
})
