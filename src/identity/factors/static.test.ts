import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { by, openFactors, winnersOf20 } from '../../../test/support/factors.ts'
import { findFactors, listFactors } from '../authenticators.ts'
import type { User } from '../user.ts'
import { static_codes } from './static.ts'

let opened: Awaited<ReturnType<typeof openFactors>>
before(async () => {
  opened = await openFactors()
})
after(() => opened.drop())

const now = new Date('2026-01-02T03:04:05Z')

const later = new Date(now.getTime() + 1_000)

const add = async (user: User, at = now) => {
  const { kept, codes = [] } = await static_codes.offer(opened.deps, user, at)
  const confirmed = await static_codes.confirm(opened.deps, user, { kept }, by, now)
  assert.equal(confirmed.kind, 'added')
  return { codes, id: confirmed.kind === 'added' ? confirmed.authenticator.id : '' }
}
const verify = (user: User | undefined, code: string | undefined) => static_codes.verify(opened.deps, user, { kept: '', code }, now)

test('ten codes of sixty bits in groups that are easy to type, none of them in the database', async () => {
  const user = await opened.person()
  const { codes } = await add(user)
  assert.equal(new Set(codes).size, 10)
  for (const code of codes) assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}$/)
  const { text } = await opened.db.one<{ text: string }>(sql`
    select (select string_agg(c::text, ' ') from recovery_codes c) || (select string_agg(e::text, ' ') from events e) as text`)
  for (const code of codes) assert.ok(!text.includes(code) && !text.includes(code.replaceAll('-', '')))
})

test('a code is read whatever its case, dashes and blanks, and look-alikes as what they look like', async () => {
  const user = await opened.person()
  const { codes, id } = await add(user)
  const typings: ((code: string) => string)[] = [
    (code) => code,
    (code) => code.toLowerCase(),
    (code) => code.replaceAll('-', ''),
    (code) => ` ${code.replaceAll('-', ' ')}\n`,
    (code) => code.replaceAll('0', 'O').replaceAll('1', 'l'),
    (code) => code.replaceAll('0', 'o').replaceAll('1', 'I'),
  ]
  for (const [index, type] of typings.entries()) {
    const proof = await verify(user, type(codes[index] ?? ''))
    assert.deepEqual(proof, { kind: 'proven', type: 'static', user_id: user.id, authenticator_id: id, amr: ['otp'], userVerified: false })
  }
  assert.deepEqual(await opened.lastUsed(id), now)
  assert.deepEqual(await findFactors(opened.db, user.id), { types: ['static'], recoveryCodesLeft: 10 - typings.length })
})

test('each code is good once, also for twenty at once', async () => {
  const user = await opened.person()
  const { codes } = await add(user)
  for (const code of codes.slice(0, 3)) assert.equal(await winnersOf20(() => verify(user, code)), 1)
  assert.equal((await verify(user, codes[0])).kind, 'refused')
})

test('a used up set is a factor still', async () => {
  const user = await opened.person()
  const { codes } = await add(user)
  for (const code of codes) assert.equal((await verify(user, code)).kind, 'proven')
  assert.deepEqual(await findFactors(opened.db, user.id), { types: ['static'], recoveryCodesLeft: 0 })
})

test('a new set takes the place of the old one, not before it is confirmed', async () => {
  const user = await opened.person()
  const old = await add(user)
  await static_codes.offer(opened.deps, user, now)
  assert.equal((await verify(user, old.codes[0])).kind, 'proven')
  const fresh = await add(user, later)
  assert.equal((await verify(user, old.codes[1])).kind, 'refused')
  assert.equal((await verify(user, fresh.codes[0])).kind, 'proven')
  assert.deepEqual(
    (await listFactors(opened.db, user.id)).map(({ id }) => id),
    [fresh.id],
  )
  assert.deepEqual(
    (await opened.events(user)).map(({ data }) => data),
    [
      { type: 'static', name: null },
      { type: 'static', name: null, replaced: true },
    ],
  )
})

test('wrong ones, those of another person and those of nobody are refused alike', async () => {
  const [one, other] = [await opened.person(), await opened.person()]
  const { codes } = await add(one)
  for (const outcome of [
    await verify(other, codes[0]),
    await verify(undefined, codes[0]),
    await verify(one, '0000-0000-0000'),
    await verify(one, ''),
    await verify(one, undefined),
    await verify(one, 'x'.repeat(10_000)),
  ])
    assert.deepEqual(outcome, { kind: 'refused', log: 'the recovery code is wrong or was used before' })
  assert.equal((await verify(one, codes[0])).kind, 'proven')
})

test('an offer is confirmed by the one it was made to, once', async () => {
  const user = await opened.person()
  const { kept } = await static_codes.offer(opened.deps, user, now)
  await assert.rejects(static_codes.confirm(opened.deps, await opened.person(), { kept }, by, now))
  const sent = () => static_codes.confirm(opened.deps, user, { kept }, by, now)
  assert.deepEqual((await Promise.allSettled([sent(), sent(), sent()])).map(({ status }) => status).sort(), [
    'fulfilled',
    'rejected',
    'rejected',
  ])
  await assert.rejects(sent(), { code: 'conflict' })
  const { codes } = await add(user, later)
  await assert.rejects(sent(), { code: 'conflict' })
  assert.equal((await verify(user, codes[0])).kind, 'proven')
})
