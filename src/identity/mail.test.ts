import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readSettings } from '#/lib/config.ts'
import { Problem } from '#/lib/problem.ts'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { canSend, type NewMail, openQueuedMail, queueMail } from './mail.ts'

let fresh: FreshDatabase
before(async () => {
  fresh = await freshDatabase()
})
after(() => fresh.drop())

const rootSecret = new Secret('k'.repeat(48))
const now = new Date('2031-02-03T04:05:06Z')
const settings = readSettings({ SIGNET_SMTP_URL: 'smtp://127.0.0.1:1', SIGNET_MAIL_FROM: 'Example <no-reply@mail.example.com>' })
const code: NewMail<'email_code'> = {
  to: 'ann@example.com',
  template: 'email_code',
  locale: 'de-AT',
  user: { name: 'Ann Example', username: 'ann', email: 'ann@example.com' },
  variables: { code: '314159', expiresAt: new Date('2031-02-03T04:15:06Z') },
}

const queue = (changed: Partial<NewMail<'email_code'>>) => queueMail(fresh.db, { ...code, ...changed }, { settings, rootSecret, now })

const payloadOf = async (id: string) =>
  (await fresh.db.one<{ payload: unknown }>(sql`select payload from graphile_worker._private_jobs where id = ${id}::bigint`)).payload

const queued = async () =>
  (await fresh.db.one<{ count: number }>(sql`select count(*)::int as count from graphile_worker._private_jobs`)).count

/** Queues it and reads what lies in the queue. */
const opened = async (changed: Partial<NewMail<'email_code'>>) => {
  const mail = openQueuedMail(await payloadOf(await queue(changed)), rootSecret)
  assert.ok(mail)
  return mail
}

describe('a queued mail', () => {
  test('has its Message-ID, and lies sealed', async () => {
    const payload = await payloadOf(await queue({}))
    const text = JSON.stringify(payload)
    assert.doesNotMatch(text, /314159|Ann Example/)
    assert.match(text, /"message_id":"<[0-9a-f-]{36}@mail\.example\.com>"/)
    const { messageId, ...mail } = openQueuedMail(payload, rootSecret) ?? {}
    assert.equal(text.includes(String(messageId)), true)
    assert.deepEqual(mail, {
      to: 'ann@example.com',
      template: 'email_code',
      locale: 'de-AT',
      queuedAt: now,
      user: code.user,
      product: 'Signet',
      variables: code.variables,
    })
  })

  test('opens by its own root secret only, in its own place and for its own address only', async () => {
    const [one, two] = (await Promise.all([queue({}), queue({})].map(async (id) => payloadOf(await id)))) as Record<string, string>[]
    assert.throws(() => openQueuedMail(one, new Secret('x'.repeat(48))))
    assert.throws(() => openQueuedMail({ ...one, sealed: two?.sealed }, rootSecret))
    assert.throws(() => openQueuedMail({ ...one, to: 'eve@example.com' }, rootSecret))
    for (const odd of [undefined, {}, { ...one, to: 'a@b\r\nc' }, { ...one, template: '../page' }])
      assert.equal(openQueuedMail(odd, rootSecret), undefined)
  })

  test('goes with its transaction', async () => {
    const before = await queued()
    await assert.rejects(
      fresh.db.transaction(async (tx) => {
        await queueMail(tx, code, { settings, rootSecret, now })
        throw new Error('no')
      }),
      /^Error: no$/,
    )
    assert.equal(await queued(), before)
  })
})

test('without a mail server nothing is queued, and whoever asks is told so', async () => {
  const none = readSettings({})
  assert.deepEqual([canSend(none), canSend(settings)], [false, true])
  const before = await queued()
  await assert.rejects(queueMail(fresh.db, code, { settings: none, rootSecret, now }), (error: Problem) => {
    assert.ok(error instanceof Problem)
    assert.equal(error.code, 'unavailable')
    return true
  })
  assert.equal(await queued(), before)
})

for (const to of [
  '',
  'ann',
  'ann@',
  '@example.com',
  'ann@example.com\r\nBcc: eve@example.com',
  'ann@example.com\n',
  'ann@example.com, eve@example.com',
  'Ann <ann@example.com>',
  '"ann eve"@example.com',
  'ann\0@example.com',
  'ann\u202e@example.com',
  `${'a'.repeat(65)}@example.com`,
  `ann@${'a'.repeat(254)}`,
])
  test(`an address is refused: ${JSON.stringify(to.slice(0, 50))}`, async () => {
    await assert.rejects(queue({ to }), (error: Problem) => error.code === 'invalid' && error.errors[0]?.pointer === '/email')
  })

for (const to of ['jörg@bücher.example', 'a+b@example.com', "o'hara@example.com", `${'a'.repeat(64)}@example.com`])
  test(`an address is taken: ${to.slice(0, 50)}`, async () => {
    assert.equal((await opened({ to })).to, to)
  })

for (const [name, shown] of [
  ['Ann Example', 'Ann Example'],
  ['Dr. J. R. Example', 'Dr. J. R. Example'],
  ['  小林\t光 ', '小林 光'],
  ['Ann\r\n\r\nYour account is closed', 'Ann Your account is closed'],
  ['Ann\u202eelpmaxE', 'Ann elpmaxE'],
  ['a'.repeat(100), `${'a'.repeat(63)}…`],
  ['Win! https://evil.example/x', null],
  ['Win at www.evil', null],
  ['Win at evil.example', null],
  ['ann@example.com', 'ann@example.com'],
  ['', null],
  [null, null],
] as const)
  test(`the name ${JSON.stringify(name?.slice(0, 40) ?? null)} is shown as ${JSON.stringify(shown?.slice(0, 40) ?? null)}`, async () => {
    assert.equal((await opened({ user: { name, username: null, email: null } })).user.name, shown)
  })

for (const url of [
  'javascript:alert(1)',
  'https://a.example/\r\nx',
  'https://a.example/"onclick',
  `https://a.example/${'x'.repeat(2_000)}`,
  '/path',
])
  test(`a link is refused: ${JSON.stringify(url.slice(0, 40))}`, async () => {
    const recovery: NewMail<'recovery'> = { ...code, template: 'recovery', variables: { url, expiresAt: now } }
    await assert.rejects(queueMail(fresh.db, recovery, { settings, rootSecret, now }), /a link that is none/)
  })
