import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { generateSync, ScureBase32Plugin } from 'otplib'
import { sql } from '#/lib/sql.ts'
import { by, openFactors, winnersOf20 } from '../../../test/support/factors.ts'
import { findFactors, listFactors } from '../authenticators.ts'
import { siteOf } from '../factor.ts'
import type { User } from '../user.ts'
import { totp } from './totp.ts'

let opened: Awaited<ReturnType<typeof openFactors>>
before(async () => {
  opened = await openFactors()
})
after(() => opened.drop())

const at = (seconds: number) => new Date(seconds * 1_000)
const codeOf = (secret: string, now: Date) => generateSync({ secret, epoch: now.getTime() / 1_000 })
const secretOf = (otpauthUrl = '') => new URL(otpauthUrl).searchParams.get('secret') ?? ''

const add = async (user: User, now: Date) => {
  const { kept, otpauthUrl } = await totp.offer(opened.deps, user, now)
  const secret = secretOf(otpauthUrl)
  const confirmed = await totp.confirm(opened.deps, user, { kept, code: codeOf(secret, now), name: 'Phone' }, by, now)
  assert.equal(confirmed.kind, 'added')
  return { secret, id: confirmed.kind === 'added' ? confirmed.authenticator.id : '' }
}

/** RFC 6238 appendix B, the last six of its eight digits. */
const rfcSecret = Buffer.from('12345678901234567890')
const vectors: [number, string][] = [
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130'],
]
for (const [seconds, code] of vectors)
  test(`the code of RFC 6238 at ${seconds} is let in`, async () => {
    const user = await opened.person()
    const { id } = await add(user, at(0))
    const { openVault } = await import('#/lib/crypto.ts')
    const sealed = openVault(opened.deps.rootSecret, 'totp secrets').seal(rfcSecret, `authenticator:${id}`)
    await opened.db.run(sql`update authenticators set sealed_secret = ${sealed} where authenticator_id = ${id}`)
    const proof = await totp.verify(opened.deps, user, { kept: '', code }, at(seconds))
    assert.deepEqual(proof, {
      kind: 'proven',
      type: 'totp',
      user_id: user.id,
      authenticator_id: id,
      amr: ['otp'],
      userVerified: false,
    })
    assert.deepEqual(await opened.lastUsed(id), at(seconds))
  })

test('an offer names issuer and account, escaped, and draws them; nothing is kept before a code was entered', async () => {
  const user = await opened.person({ username: 'zoë: a/b?c&d' })
  const { kept, otpauthUrl = '', qr = '' } = await totp.offer(opened.deps, user, at(0))
  const url = new URL(otpauthUrl)
  assert.match(otpauthUrl, /^otpauth:\/\/totp\/Example%20%26%20Sons:zo%C3%AB%20%20a%2Fb%3Fc%26d\?secret=[A-Z2-7]{32}&/)
  assert.equal(url.searchParams.get('issuer'), 'Example & Sons')
  assert.equal(Buffer.from(new ScureBase32Plugin().decode(secretOf(otpauthUrl))).length, 20)
  assert.match(qr, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="[0-9 ]+">(<path [^<>]+\/>){2}<\/svg>$/)
  assert.ok(qr.length < 8_000, `${qr.length}`)
  assert.ok(!kept.includes(secretOf(otpauthUrl)) && kept.length < 2_048)
  assert.deepEqual(await listFactors(opened.db, user.id), [])
})

test('names as long as names may be still make a picture', async () => {
  const user = await opened.person({ username: '😀'.repeat(255), email: null, emailVerified: false })
  const site = siteOf({ issuerUrl: 'https://id.example.org', displayName: '😀:'.repeat(200) })
  assert.match((await totp.offer({ ...opened.deps, site }, user, at(0))).qr ?? '', /<\/svg>$/)
})

test('only a code of the offered secret confirms it, for the one it was offered to, once', async () => {
  const user = await opened.person()
  const now = at(1_000_000)
  const { kept, otpauthUrl } = await totp.offer(opened.deps, user, now)
  const code = codeOf(secretOf(otpauthUrl), now)
  for (const wrong of [code === '000000' ? '000001' : '000000', '', undefined, `${code}0`, 'x'.repeat(5_000), '１２３４５６'])
    assert.equal((await totp.confirm(opened.deps, user, { kept, code: wrong }, by, now)).kind, 'refused')
  await assert.rejects(totp.confirm(opened.deps, await opened.person(), { kept, code }, by, now))
  assert.equal((await totp.confirm(opened.deps, user, { kept, code, name: ' Phone ' }, by, now)).kind, 'added')
  await assert.rejects(totp.confirm(opened.deps, user, { kept, code }, by, now), { code: 'conflict' })
  assert.deepEqual(
    (await listFactors(opened.db, user.id)).map(({ type, name, createdAt, lastUsedAt }) => [type, name, createdAt, lastUsedAt]),
    [['totp', 'Phone', now, null]],
  )
  assert.deepEqual(await findFactors(opened.db, user.id), { types: ['totp'], recoveryCodesLeft: 0 })
  assert.deepEqual(await opened.events(user), [{ action: 'factor.added', data: { type: 'totp', name: 'Phone' } }])
})

test('the code that confirmed it proves nothing afterwards', async () => {
  const user = await opened.person()
  const now = at(2_000_000)
  const { secret } = await add(user, now)
  assert.equal((await totp.verify(opened.deps, user, { kept: '', code: codeOf(secret, now) }, now)).kind, 'refused')
})

test('a code is let in one step early and one step late, and no more', async () => {
  const now = 3_000_015
  for (const [drift, expected] of [
    [-60, 'refused'],
    [-30, 'proven'],
    [0, 'proven'],
    [30, 'proven'],
    [60, 'refused'],
  ] as const) {
    const user = await opened.person()
    const { secret } = await add(user, at(0))
    const proof = await totp.verify(opened.deps, user, { kept: '', code: codeOf(secret, at(now + drift)) }, at(now))
    assert.equal(proof.kind, expected, `${drift} s`)
  }
})

test('a code is taken as people type it, and once: no code of an earlier step after it', async () => {
  const user = await opened.person()
  const { secret } = await add(user, at(0))
  const now = at(4_000_000)
  const code = codeOf(secret, now)
  assert.equal((await totp.verify(opened.deps, user, { kept: '', code: ` ${code.slice(0, 3)} ${code.slice(3)}` }, now)).kind, 'proven')
  for (const step of [0, -30])
    assert.equal((await totp.verify(opened.deps, user, { kept: '', code: codeOf(secret, at(4_000_000 + step)) }, now)).kind, 'refused')
})

test('of twenty with the same code at once one is let in', async () => {
  const user = await opened.person()
  const { secret } = await add(user, at(0))
  const now = at(5_000_000)
  assert.equal(await winnersOf20(() => totp.verify(opened.deps, user, { kept: '', code: codeOf(secret, now) }, now)), 1)
})

test("another person's code, a removed app's and nobody's are refused alike", async () => {
  const [one, other] = [await opened.person(), await opened.person()]
  const { secret } = await add(one, at(0))
  const now = at(6_000_000)
  const answer = { kept: '', code: codeOf(secret, now) }
  const outcomes = [await totp.verify(opened.deps, other, answer, now), await totp.verify(opened.deps, undefined, answer, now)]
  await opened.db.run(sql`delete from authenticators where user_id = ${one.id}`)
  outcomes.push(await totp.verify(opened.deps, one, answer, now))
  for (const outcome of outcomes) assert.deepEqual(outcome, outcomes[0])
  assert.equal(outcomes[0]?.kind, 'refused')
})

test('each of several apps proves, and the database knows no secret', async () => {
  const user = await opened.person()
  const secrets = [await add(user, at(0)), await add(user, at(0))]
  const now = at(7_000_000)
  for (const { secret, id } of secrets) {
    const proof = await totp.verify(opened.deps, user, { kept: '', code: codeOf(secret, now) }, now)
    assert.equal(proof.kind === 'proven' && proof.authenticator_id, id)
    const raw = Buffer.from(new ScureBase32Plugin().decode(secret))
    const { sealed } = await opened.db.one<{ sealed: Buffer }>(
      sql`select sealed_secret as sealed from authenticators where authenticator_id = ${id}`,
    )
    assert.ok(!sealed.includes(raw))
  }
})
