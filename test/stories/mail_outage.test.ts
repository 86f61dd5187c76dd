/** The mail server is away, or refuses for now: whoever waits for a mail is told what to do, and gets it when the server is back. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, walk } from '../support/http.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'

const password = 'quiet harbour lantern 7'

describe('while the mail server is away', () => {
  let signet: Signet
  let mail: MailServer
  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({ settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>' } })
    for (const username of ['ann', 'ben', 'cleo']) {
      const { body } = await signet.api<{ id: string }>('POST', '/api/v1/users', {
        username,
        email: `${username}@example.com`,
        emailVerified: true,
      })
      await signet.api('POST', `/api/v1/users/${body.id}/password`, { password })
    }
  })
  after(async () => {
    await signet?.stop()
    await mail?.stop()
  })

  const recover = async (username: string): Promise<Page> => {
    const visitor = newVisitor(signet.issuer)
    return visitor.submit(await visitor.open('/flow/recovery'), { username })
  }
  /** Tries that failed so far, of mails to this address. */
  const triesTo = async (address: string): Promise<number> => {
    const found = await signet.database.db.maybeOne<{ attempts: number }>(sql`
      select attempts from graphile_worker._private_jobs where payload->>'to' = ${address} and last_error is not null`)
    return found?.attempts ?? 0
  }
  const arrives = (address: string, says?: RegExp) => mail.next(address, says, 60_000)

  it('a person is told what to do when none comes, and the mail waits, also for a server that is killed', async () => {
    await mail.stop()
    const page = await recover('ann')
    assert.equal(page.status, 200)
    assert.match(page.text, /If none comes in the next minutes, .* have it sent again/)
    assert.ok(page.forms[0]?.buttons.length === 1)
    await until(() => triesTo('ann@example.com'))
    await signet.restart({ signal: 'SIGKILL' })
    await mail.start()
    const link = /https?:\/\/\S+token=[\w-]+/.exec((await arrives('ann@example.com')).text)?.[0] ?? assert.fail('no link')
    const visitor = newVisitor(signet.issuer)
    const renewed = 'another quiet harbour 9'
    const done = await walk(visitor, await visitor.open(link), { password: renewed, passwordRepeat: renewed })
    assert.equal(done.status, 200, done.text)
    assert.equal((await visitor.request('/api/v1/me')).status, 200)
  })

  it('a refusal for now is no refusal: the mail is tried again, and comes once', async () => {
    mail.refuse({ at: 'data', code: 451, message: '4.3.0 later' })
    await recover('ben')
    await until(() => triesTo('ben@example.com'))
    mail.refuse(undefined)
    await arrives('ben@example.com')
    assert.equal(mail.received.filter(({ to }) => to === 'ben@example.com').length, 1)
  })

  it('a sign-in goes on with the code that comes late, or with another one', async () => {
    const visitor = newVisitor(signet.issuer)
    const enter = async (on = visitor) => walk(on, await on.open('/flow/authentication?next=/account'), { username: 'cleo', password })
    await enter()
    const offered = await visitor.open('/flow/authenticator_email')
    const codeOf = async () =>
      /^\s*(\d{6})\s*$/m.exec((await arrives('cleo@example.com', /^\s*\d{6}\s*$/m)).text)?.[1] ?? assert.fail('no code')
    assert.equal((await visitor.submit(offered, { code: await codeOf() })).status, 200)

    await mail.stop()
    const other = newVisitor(signet.issuer)
    const asked = await enter(other)
    assert.match(asked.text, /a code is on its way to c…@example\.com/)
    assert.match(asked.text, /If none comes/)
    const again = asked.forms.findIndex(({ fields }) => fields.method === 'email')
    assert.ok(again > 0, 'it can be sent again')
    const second = await other.submit(asked, {}, again)
    assert.equal(second.status, 200, second.text)
    await until(() => triesTo('cleo@example.com'))
    await mail.start()
    const codes = [await codeOf(), await codeOf()]
    const answers = []
    for (const code of codes) {
      const page = await other.submit(await other.open(asked.url), { code })
      answers.push(new URL(page.url).pathname)
      if (answers.at(-1) === '/account') break
    }
    assert.equal(answers.at(-1), '/account', 'the code that was asked for last')
  })
})

describe('without a mail server', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet()
  })
  after(() => signet?.stop())

  it('nothing that needs a mail is offered, and who asks all the same is told to come again', async () => {
    const visitor = newVisitor(signet.issuer)
    assert.doesNotMatch((await visitor.open('/flow/authentication')).html, /flow\/recovery/)
    const page = await visitor.submit(await visitor.open('/flow/recovery'), { username: 'admin' })
    assert.equal(page.status, 503)
    assert.match(page.text, /No mail can be sent here/)
    assert.ok(Number(page.headers.get('retry-after')) > 0)
  })
})
