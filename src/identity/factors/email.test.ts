import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { purgeEmailCodes } from '#/model/email_codes.ts'
import { by, openFactors, winnersOf20 } from '../../../test/support/factors.ts'
import { listFactors } from '../authenticators.ts'
import type { User } from '../user.ts'
import { findUser, updateUser } from '../users.ts'
import { email } from './email.ts'

let opened: Awaited<ReturnType<typeof openFactors>>
before(async () => {
  opened = await openFactors()
})
after(() => opened.drop())

const now = new Date('2026-01-02T03:04:05Z')
const later = (seconds: number) => new Date(now.getTime() + seconds * 1_000)

const add = async (user: User, at = now) => {
  const { kept, mail } = await email.offer(opened.deps, user, at)
  const confirmed = await email.confirm(opened.deps, user, { kept, code: mail?.code }, by, at)
  assert.equal(confirmed.kind, 'added')
  return confirmed.kind === 'added' ? confirmed.authenticator.id : ''
}
const ask = async (user: User | undefined) => {
  const { kept, mail } = await email.ask(opened.deps, user, now)
  return { kept, code: mail?.code ?? '', address: mail?.address }
}
const wrong = (code: string) => (code === '000000' ? '000001' : '000000')

test('a code goes to the confirmed address, and proves when it comes back', async () => {
  const user = await opened.person()
  const id = await add(user)
  const { kept, code, address } = await ask(user)
  assert.equal(address, user.email)
  assert.match(code, /^[0-9]{6}$/)
  const proof = await email.verify(opened.deps, user, { kept, code: ` ${code.slice(0, 3)}-${code.slice(3)}` }, now)
  assert.deepEqual(proof, { kind: 'proven', type: 'email', user_id: user.id, authenticator_id: id, amr: ['otp'], userVerified: false })
  assert.deepEqual(await opened.lastUsed(id), now)
  assert.equal((await email.verify(opened.deps, user, { kept, code }, now)).kind, 'refused')
})

test('an address that is not confirmed is none at a sign-in, and who asks for nobody is not told', async () => {
  const user = await opened.person({ emailVerified: false })
  for (const whom of [user, undefined]) {
    const asked = await email.ask(opened.deps, whom, now)
    assert.deepEqual(Object.keys(asked), ['kept'])
    assert.equal((await email.verify(opened.deps, whom, { kept: asked.kept, code: '123456' }, now)).kind, 'refused')
  }
})

test('the code that sets it up proves the address: it is confirmed with the factor, or neither', async () => {
  const user = await opened.person({ emailVerified: false })
  const { kept, mail } = await email.offer(opened.deps, user, now)
  assert.equal(mail?.address, user.email)
  const code = mail?.code ?? ''
  assert.equal((await email.verify(opened.deps, user, { kept, code }, now)).kind, 'refused', 'it signs nobody in')
  assert.equal((await email.confirm(opened.deps, user, { kept, code: wrong(code) }, by, now)).kind, 'refused')
  assert.equal((await findUser(opened.db, user.id))?.emailVerified, false)
  await assert.rejects(email.confirm(opened.deps, user, { kept, code, name: 'x'.repeat(101) }, by, now), { code: 'invalid' })
  assert.equal((await findUser(opened.db, user.id))?.emailVerified, false)
  assert.equal((await email.confirm(opened.deps, user, { kept, code }, by, now)).kind, 'added')
  assert.equal((await findUser(opened.db, user.id))?.emailVerified, true)
  const events = await opened.db.any<{ action: string; changes: unknown }>(sql`
    select action, changes from events where target_name = ${user.username} and action in ('user.updated', 'factor.added') order by time, ctid`)
  assert.deepEqual(events, [
    { action: 'user.updated', changes: { '/emailVerified': { before: false, after: true } } },
    { action: 'factor.added', changes: null },
  ])
})

test('a code that went to another address proves none', async () => {
  const user = await opened.person({ emailVerified: false })
  const { kept, mail } = await email.offer(opened.deps, user, now)
  await updateUser(opened.db, user.id, { email: `new-${user.email}` }, by, now)
  assert.equal((await email.confirm(opened.deps, user, { kept, code: mail?.code }, by, now)).kind, 'refused')
  assert.equal((await findUser(opened.db, user.id))?.emailVerified, false)
})

test('who has no address is offered none', async () => {
  const user = await opened.person({ email: null, emailVerified: false })
  await assert.rejects(email.offer(opened.deps, user, now), { code: 'conflict' })
})

test('a code has five tries', async () => {
  for (const [tries, expected] of [
    [4, 'proven'],
    [5, 'refused'],
  ] as const) {
    const user = await opened.person()
    await add(user)
    const { kept, code } = await ask(user)
    for (let i = 0; i < tries; i++) assert.equal((await email.verify(opened.deps, user, { kept, code: wrong(code) }, now)).kind, 'refused')
    assert.equal((await email.verify(opened.deps, user, { kept, code }, now)).kind, expected)
  }
})

test('guesses at once are counted all the same', async () => {
  const user = await opened.person()
  await add(user)
  const { kept, code } = await ask(user)
  assert.equal(await winnersOf20(() => email.verify(opened.deps, user, { kept, code: wrong(code) }, now)), 0)
  assert.equal((await email.verify(opened.deps, user, { kept, code }, now)).kind, 'refused')
})

test('of twenty with the right code at once one is let in', async () => {
  const user = await opened.person()
  await add(user)
  const { kept, code } = await ask(user)
  assert.equal(await winnersOf20(() => email.verify(opened.deps, user, { kept, code }, now)), 1)
})

test('a code ends after ten minutes', async () => {
  for (const [seconds, expected] of [
    [599, 'proven'],
    [600, 'refused'],
  ] as const) {
    const user = await opened.person()
    await add(user)
    const { kept, code } = await ask(user)
    assert.equal((await email.verify(opened.deps, user, { kept, code }, later(seconds))).kind, expected)
  }
})

test('a code is good for what asked for it, for whom it was asked, and while the address is theirs', async () => {
  const [one, other] = [await opened.person(), await opened.person()]
  await add(one)
  await add(other)
  const first = await ask(one)
  const second = await ask(one)
  if (first.code !== second.code)
    assert.equal((await email.verify(opened.deps, one, { kept: second.kept, code: first.code }, now)).kind, 'refused')
  assert.equal((await email.verify(opened.deps, other, first, now)).kind, 'refused')
  assert.equal((await email.verify(opened.deps, undefined, first, now)).kind, 'refused')
  assert.equal((await email.verify(opened.deps, one, { ...first, kept: 'nonsense' }, now)).kind, 'refused')
  assert.equal((await email.verify(opened.deps, one, first, now)).kind, 'proven')
  await updateUser(opened.db, one.id, { email: `new-${one.email}`, emailVerified: true }, by, now)
  assert.equal((await email.verify(opened.deps, one, second, now)).kind, 'refused')
})

test('without the factor the right code proves nothing', async () => {
  const user = await opened.person()
  const { kept, code } = await ask(user)
  assert.equal((await email.verify(opened.deps, user, { kept, code }, now)).kind, 'refused')
})

test('at most five mails wait for an answer', async () => {
  const user = await opened.person()
  await add(user)
  const asked = await Promise.allSettled(Array.from({ length: 20 }, () => ask(user)))
  assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 5)
  await assert.rejects(ask(user), { code: 'too_many_requests', retryAfter: 600 })
  const [first] = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  assert.equal((await email.verify(opened.deps, user, { kept: first?.kept ?? '', code: first?.code }, now)).kind, 'proven')
  await ask(user)
})

test('a person has one, a new one takes its place; the database has no code', async () => {
  const user = await opened.person()
  await add(user)
  const id = await add(user, later(1))
  assert.deepEqual(
    (await listFactors(opened.db, user.id)).map((factor) => factor.id),
    [id],
  )
  const { code } = await ask(user)
  const { text } = await opened.db.one<{ text: string }>(sql`
    select string_agg(user_id::text || encode(code_hash, 'escape'), ' ') as text from email_codes where user_id = ${user.id}`)
  assert.ok(!text.includes(code))
})

test('what has ended is purged', async () => {
  const user = await opened.person()
  await ask(user)
  assert.equal(await purgeEmailCodes(opened.db, later(599), 1_000), 0)
  assert.ok((await purgeEmailCodes(opened.db, later(601), 1_000)) > 0)
  assert.equal((await opened.db.one<{ count: number }>(sql`select count(*)::integer as count from email_codes`)).count, 0)
})
