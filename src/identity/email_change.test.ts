import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readSettings } from '#/lib/config.ts'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { purgeEmailChanges } from '#/model/email_changes.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { askEmailChange, confirmEmailChange, type EmailChangeDeps, findPendingEmailChange } from './email_change.ts'
import { openQueuedMail } from './mail.ts'
import type { User } from './user.ts'
import { createUser, findUser, updateUser } from './users.ts'

const now = new Date('2026-01-02T03:04:05Z')
const later = (seconds: number) => new Date(now.getTime() + seconds * 1_000)
const by = { actor: 'tester', network: '192.0.2.7' }
const mailed = { product: undefined, locale: null }
const url = 'https://id.example.org/account'

let fresh: FreshDatabase
let deps: EmailChangeDeps
let count = 0
before(async () => {
  fresh = await freshDatabase()
  const rootSecret = new Secret('a root secret of tests, 32 bytes at least')
  deps = { db: fresh.db, rootSecret, settings: readSettings({ SIGNET_SMTP_URL: 'smtp://127.0.0.1:2525' }) }
})
after(() => fresh.drop())

const person = (): Promise<User> => {
  const username = `person-${++count}`
  return createUser(deps.db, { username, email: `${username}@old.example`, emailVerified: true }, by, new Date(0))
}
/** Codes by address of the mails that have been queued. */
const codes = async (): Promise<Map<string, string>> => {
  const payloads = await deps.db.any<{ payload: unknown }>(sql`select payload from graphile_worker._private_jobs order by id`)
  const mails = payloads.map(({ payload }) => openQueuedMail(payload, deps.rootSecret))
  return new Map(mails.flatMap((mail) => (mail?.variables.code ? [[mail.to, mail.variables.code]] : [])))
}
const ask = async (user: User, email = user.email?.replace('@old.', '@new.') ?? '') => {
  await askEmailChange(deps, { user_id: user.id, email, ...mailed, url }, by, now)
  const sent = await codes()
  return { email, fromNew: sent.get(email) ?? '', fromOld: sent.get(user.email ?? '') ?? '' }
}
const confirm = async (user: User, code: string, at = now) => (await confirmEmailChange(deps, { user_id: user.id, code }, by, at)).kind

test('codes hold an hour, and what has ended is purged', async () => {
  const user = await person()
  const { fromNew, fromOld, email } = await ask(user)
  assert.equal(await confirm(user, fromNew, later(3_599)), 'agreed')
  assert.equal(await confirm(user, fromOld, later(3_600)), 'over')
  assert.equal(await findPendingEmailChange(deps.db, user.id, later(3_600)), undefined)
  assert.equal((await findUser(deps.db, user.id))?.email, user.email)
  assert.equal(await purgeEmailChanges(deps.db, later(3_599), 1_000), 0)
  assert.equal(await purgeEmailChanges(deps.db, later(3_600), 1_000), 1)
  assert.ok(email)
})

test('of both codes posted at once, many times, one post changes the address', async () => {
  const user = await person()
  const { fromNew, fromOld, email } = await ask(user)
  const kinds = await Promise.all(Array.from({ length: 10 }, (_, index) => confirm(user, index % 2 ? fromNew : fromOld)))
  assert.equal(kinds.filter((kind) => kind === 'changed').length, 1, kinds.join())
  assert.equal(kinds.filter((kind) => kind === 'agreed').length, 1, kinds.join())
  const changed = await findUser(deps.db, user.id)
  assert.deepEqual([changed?.email, changed?.emailVerified], [email, true])
})

test('guesses at once are counted all the same', async () => {
  const user = await person()
  const { fromNew, fromOld } = await ask(user)
  const wrong = ['000000', '000001', '000002'].find((code) => ![fromNew, fromOld].includes(code)) ?? ''
  const kinds = await Promise.all(Array.from({ length: 20 }, () => confirm(user, wrong)))
  assert.equal(kinds.filter((kind) => kind === 'wrong').length, 5)
  assert.equal(await confirm(user, fromNew), 'over')
})

test('none holds once the old address was confirmed meanwhile and has not agreed', async () => {
  const user = await person()
  await updateUser(deps.db, user.id, { emailVerified: false }, by, now)
  const { fromNew } = await ask({ ...user, emailVerified: false })
  await updateUser(deps.db, user.id, { emailVerified: true }, by, now)
  assert.equal(await confirm(user, fromNew), 'over')
})

test('the database has no code', async () => {
  const user = await person()
  const { fromNew, fromOld } = await ask(user)
  const { text } = await deps.db.one<{ text: string }>(
    sql`select encode(new_code_hash, 'escape') || encode(old_code_hash, 'escape') as text from email_changes where user_id = ${user.id}`,
  )
  assert.ok(!text.includes(fromNew) && !text.includes(fromOld))
})
