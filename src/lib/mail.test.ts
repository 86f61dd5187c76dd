import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type MailServerOptions, startMailServer } from '../../test/support/smtp.ts'
import { type Letter, type MailError, openMailer } from './mail.ts'
import { Secret } from './secret.ts'

const letter: Letter = {
  from: { name: 'Büro, Example', address: 'no-reply@example.com' },
  to: 'ann@example.com',
  subject: 'Grüße',
  text: 'Schöne Grüße\n.\nEnde',
  html: '<p>Schöne Grüße</p>',
  messageId: '<one@example.com>',
  date: new Date('2031-02-03T04:05:06Z'),
}

/** Sends one letter to a server of its own at `address` (`PORT` filled in). */
const withServer = async <Result>(
  options: MailServerOptions,
  address: string | undefined,
  work: (send: (changed?: Partial<Letter>) => Promise<void>, server: Awaited<ReturnType<typeof startMailServer>>) => Promise<Result>,
): Promise<Result> => {
  const server = await startMailServer(options)
  const mailer = await openMailer(new Secret((address ?? server.url).replace('PORT', String(server.port))))
  try {
    return await work((changed = {}) => mailer.send({ ...letter, ...changed }), server)
  } finally {
    mailer.close()
    await server.stop()
  }
}

const failsWith = (message: RegExp, permanent: boolean) => (error: MailError) => {
  assert.match(error.message, message)
  assert.doesNotMatch(error.message, /ann|example|secret/)
  assert.equal(error.permanent, permanent)
  return true
}

describe('a mail', () => {
  test('comes as it was written', () =>
    withServer({}, undefined, async (send, server) => {
      await send()
      const mail = await server.next('ann@example.com')
      assert.equal(mail.from, 'no-reply@example.com')
      assert.equal(mail.headers.get('from'), 'Büro, Example <no-reply@example.com>')
      assert.equal(mail.subject, 'Grüße')
      assert.equal(mail.text, 'Schöne Grüße\n.\nEnde')
      assert.equal(mail.html, '<p>Schöne Grüße</p>')
      assert.equal(mail.messageId, '<one@example.com>')
      assert.equal(mail.headers.get('auto-submitted'), 'auto-generated')
      assert.equal(new Date(mail.headers.get('date') ?? '').toISOString(), '2031-02-03T04:05:06.000Z')
      assert.equal(mail.secure, false)
    }))

  test('says nothing of its own in a line of ours', () =>
    withServer({}, undefined, async (send, server) => {
      const hostile = 'x\r\nBcc: eve@example.com\r\n\r\nbody'
      await send({ subject: hostile, from: { name: hostile, address: letter.from.address }, messageId: `<a${hostile}@b>` })
      const mail = await server.next('ann@example.com')
      assert.equal(server.received.length, 1)
      assert.ok(!mail.headers.has('bcc'))
      assert.equal(mail.text, letter.text)
      for (const to of ['ann@example.com>\r\nRCPT TO:<eve@example.com', 'ann@example.com\r\nDATA'])
        await send({ to }).catch((error: MailError) => assert.doesNotMatch(error.message, /eve/))
      assert.deepEqual(
        server.received.filter(({ to }) => to.includes('eve')),
        [],
      )
    }))

  test('goes over STARTTLS with user and password', () =>
    withServer(
      { tls: true, login: { user: 'ann@x', password: 's/ecret' } },
      'smtp://ann%40x:s%2Fecret@127.0.0.1:PORT',
      async (send, server) => {
        await send()
        const { secure, user } = await server.next('ann@example.com')
        assert.deepEqual({ secure, user }, { secure: true, user: 'ann@x' })
      },
    ))

  test('goes over TLS from the first byte', () =>
    withServer({ implicitTls: true }, undefined, async (send, server) => {
      await send()
      assert.equal((await server.next('ann@example.com')).secure, true)
    }))

  // 0.0.0.0 leads to this machine too, and is not known for it.
  test('is not sent in the clear to another machine', () =>
    withServer({}, 'smtp://0.0.0.0:PORT', async (send, server) => {
      await assert.rejects(send(), failsWith(/ETLS/, false))
      assert.equal(server.received.length, 0)
    }))

  for (const [scheme, options] of [
    ['smtp', { tls: true }],
    ['smtps', { implicitTls: true }],
  ] as const)
    test(`is not sent to another machine whose certificate nobody vouches for (${scheme})`, () =>
      withServer(options, `${scheme}://0.0.0.0:PORT`, async (send, server) => {
        await assert.rejects(send(), failsWith(/took no mail|ETLS|CERT/, false))
        assert.equal(server.received.length, 0)
      }))

  test('is sent in the clear where the operator wants it so', () =>
    withServer({}, 'smtp://0.0.0.0:PORT?tls=optional', async (send, server) => {
      await send()
      assert.equal((await server.next('ann@example.com')).secure, false)
    }))

  test('to a name of other letters is sent where the server takes it', () =>
    withServer({}, undefined, async (send, server) => {
      await send({ to: 'jörg@bücher.example' })
      assert.match(server.received[0]?.to ?? '', /^jörg@(bücher|xn--bcher-kva)\.example$/)
    }))
})

describe('a refusal', () => {
  const rows = [
    ['to', 550, '5.1.1 <ann@example.com> is unknown', /^the mail server answered 550 5\.1\.1 to RCPT TO/, true],
    ['to', 451, '4.7.1 <ann@example.com> later', /^the mail server answered 451 4\.7\.1 to RCPT TO/, false],
    ['from', 553, 'not you, no-reply@example.com', /^the mail server answered 553 to MAIL FROM/, true],
    ['data', 554, 'spam for ann', /^the mail server answered 554 to DATA/, true],
    ['data', 452, 'full', /^the mail server answered 452 to DATA/, false],
    ['connect', 421, 'closing', /^the mail server answered 421/, false],
  ] as const
  for (const [at, code, message, expected, permanent] of rows)
    test(`${code} at ${at} is ${permanent ? 'for good' : 'for now'}, and tells no address`, () =>
      withServer({}, undefined, async (send, server) => {
        server.refuse({ at, code, message })
        await assert.rejects(send(), failsWith(expected, permanent))
        server.refuse(undefined)
        await send()
        assert.equal(server.received.length, 1)
      }))

  test('of a wrong password tells no password', () =>
    withServer({ tls: true, login: { user: 'ann', password: 'right' } }, 'smtp://ann:secret@127.0.0.1:PORT', (send) =>
      assert.rejects(send(), failsWith(/535/, true)),
    ))

  test('of the connection is for now, and so is the next one', () =>
    withServer({}, undefined, async (send, server) => {
      await send()
      await server.stop()
      await assert.rejects(send(), failsWith(/took no mail|answered 421/, false))
      await server.start()
      await send()
      assert.equal(server.received.length, 2)
    }))
})
