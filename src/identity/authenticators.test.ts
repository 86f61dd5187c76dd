import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { by, openFactors } from '../../test/support/factors.ts'
import { addFactor, findFactors, listFactors, removeFactor } from './authenticators.ts'
import { factors } from './factors/index.ts'
import type { User } from './user.ts'
import { deleteUser, updateUser } from './users.ts'

let opened: Awaited<ReturnType<typeof openFactors>>
before(async () => {
  opened = await openFactors()
})
after(() => opened.drop())

const now = new Date('2026-01-02T03:04:05Z')
const sealed = Buffer.from('sealed')
const add = (user: User, name?: string) =>
  addFactor(
    opened.db,
    { authenticator_id: uuidv7(now), user_id: user.id, type: 'totp', name, totp: { sealed_secret: sealed, last_step: 0 } },
    by,
    now,
  )

test('nobody has factors to begin with', async () => {
  const user = await opened.person()
  assert.deepEqual(await findFactors(opened.db, user.id), { types: [], recoveryCodesLeft: 0 })
  assert.deepEqual(await listFactors(opened.db, user.id), [])
})

test('which types a person has is told once each, with the recovery codes left', async () => {
  const user = await opened.person()
  await add(user)
  await add(user)
  const { kept } = await factors.static.offer(opened.deps, user, now)
  await factors.static.confirm(opened.deps, user, { kept }, by, now)
  const mailed = await factors.email.offer(opened.deps, user, now)
  await factors.email.confirm(opened.deps, user, { kept: mailed.kept, code: mailed.mail?.code }, by, now)
  assert.deepEqual(await findFactors(opened.db, user.id), { types: ['email', 'static', 'totp'], recoveryCodesLeft: 10 })
})

test('a person has at most twenty-five, also when they come at once', async () => {
  const user = await opened.person()
  const added = await Promise.allSettled(Array.from({ length: 30 }, () => add(user)))
  assert.equal(added.filter(({ status }) => status === 'fulfilled').length, 25)
  for (const one of added) if (one.status === 'rejected') assert.equal(one.reason.code, 'conflict')
  assert.equal((await listFactors(opened.db, user.id)).length, 25)
})

test('a name is a line of at most a hundred characters, or none', async () => {
  const user = await opened.person()
  for (const bad of ['a\nb', 'a\0b', 'x'.repeat(101), 'x'.repeat(10_000)])
    await assert.rejects(add(user, bad), (error: { errors: { pointer: string }[] }) => error.errors[0]?.pointer === '/name')
  for (const [given, kept] of [
    ['  ', null],
    ['', null],
    [' Blue key ', 'Blue key'],
  ])
    assert.equal((await add(user, given ?? undefined)).name, kept)
})

test('removing one is an event, and takes only what is theirs', async () => {
  const [one, other] = [await opened.person(), await opened.person()]
  const { id } = await add(one, 'Phone')
  const of = (user: User, whichever: string) => ({ user_id: user.id, username: user.username, id: whichever })
  assert.equal(await removeFactor(opened.db, of(other, id), by, now), false)
  assert.equal(await removeFactor(opened.db, of(one, 'nonsense'), by, now), false)
  assert.equal(await removeFactor(opened.db, of(one, id), by, now), true)
  assert.equal(await removeFactor(opened.db, of(one, id), by, now), false)
  assert.deepEqual(await opened.events(one), [
    { action: 'factor.added', data: { type: 'totp', name: 'Phone' } },
    { action: 'factor.removed', data: { type: 'totp', name: 'Phone' } },
  ])
  assert.deepEqual(await opened.events(other), [])
})

test('a service account has none: not any more, and not anew', async () => {
  const user = await opened.person()
  await add(user)
  await updateUser(opened.db, user.id, { serviceAccount: true }, by, now)
  assert.deepEqual(await listFactors(opened.db, user.id), [])
  await assert.rejects(add(user), { code: 'conflict' })
})

test('with the person goes what they prove themselves with', async () => {
  const user = await opened.person()
  await add(user)
  const { kept } = await factors.static.offer(opened.deps, user, now)
  await factors.static.confirm(opened.deps, user, { kept }, by, now)
  await factors.email.ask(opened.deps, user, now)
  await deleteUser(opened.db, user.id, by, now)
  const { count } = await opened.db.one<{ count: number }>(sql`
    select (select count(*) from authenticators where user_id = ${user.id})
         + (select count(*) from email_codes where user_id = ${user.id})
         + (select count(*) from recovery_codes c where not exists (select from authenticators a where a.authenticator_id = c.authenticator_id))
           as count`)
  assert.equal(Number(count), 0)
  await assert.rejects(add(user), { code: 'not_found' })
})

test('under another root secret nothing that was kept proves anything', async () => {
  const user = await opened.person()
  const deps = { ...opened.deps, rootSecret: new Secret('another root secret of tests, as long as that') }
  const { kept, codes } = await factors.static.offer(opened.deps, user, now)
  await factors.static.confirm(opened.deps, user, { kept }, by, now)
  assert.equal((await factors.static.verify(deps, user, { kept: '', code: codes?.[0] }, now)).kind, 'refused')
  const { kept: mailed, mail } = await factors.email.ask(opened.deps, user, now)
  assert.equal((await factors.email.verify(deps, user, { kept: mailed, code: mail?.code }, now)).kind, 'refused')
})
