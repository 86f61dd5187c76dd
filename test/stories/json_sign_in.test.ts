/** What a front end of one's own does by plain HTTP calls: from the invitation to the mail that gets a person back in, without one page of ours. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newVisitor, type Visitor } from '../support/http.ts'
import { makePasskey } from '../support/passkey.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'

interface Told {
  attempt?: string
  stage: string
  next?: string
  passkey?: object
  otpauthUrl?: string
  codes?: string[]
  sentTo?: string
  errors?: { pointer: string }[]
}

describe('by plain HTTP calls a person', () => {
  let signet: Signet
  let mail: MailServer
  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({ settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>' } })
  })
  after(async () => {
    await signet?.stop()
    await mail?.stop()
  })

  /** Begins a flow; each answer goes to the stage that asks. */
  const begin = async (visitor: Visitor, flow: string) => {
    const url = `${signet.issuer}/api/v1/flows/${flow}`
    let told = (await (await visitor.request(url)).json()) as Told
    const { attempt } = told
    const answer = async (fields: object = {}): Promise<Told & { status: number }> => {
      const response = await visitor.request(url.replace(/\?.*/, ''), {
        method: 'POST',
        body: JSON.stringify({ attempt, stage: told.stage, ...fields }),
        headers: { 'content-type': 'application/json', origin: signet.issuer },
      })
      told = (await response.json()) as Told
      return { ...told, status: response.status }
    }
    return { first: told, answer }
  }
  const sessionOf = async (visitor: Visitor) => {
    const me = await visitor.request('/api/v1/me')
    assert.equal(me.status, 200)
    const { username, session } = (await me.json()) as { username: string; session: { acr: string; amr: string[] } }
    return [username, session.acr, session.amr]
  }
  const linkIn = async (to: string, parameter: string): Promise<string> => {
    const link = new RegExp(`[?&]${parameter}=([\\w-]+)`)
    return link.exec((await mail.next(to, link)).text)?.[1] ?? assert.fail('no link')
  }

  /** What she has, from the first test on. */
  const nina = { passkey: undefined as ReturnType<typeof makePasskey> | undefined, app: '', codes: [] as string[] }
  const visitor = () => newVisitor(signet.issuer)
  const untilFactor = async (on: Visitor, secret = password) => {
    const { answer } = await begin(on, 'authentication')
    await answer({ username: 'nina' })
    return { asked: await answer({ password: secret }), answer }
  }

  it('enrols with an invitation that was mailed, sets up factors, and signs out', async () => {
    await signet.api('POST', '/api/v1/invitations', { email: 'nina@example.com', expiresIn: '1h', send: true })
    const on = visitor()
    const { first, answer } = await begin(on, `enrollment?invitation=${await linkIn('nina@example.com', 'invitation')}`)
    assert.equal(first.stage, 'prompt')
    const wrong = await answer({ username: 'nina', email: 'nina@example.com', password, passwordRepeat: 'another' })
    assert.deepEqual([wrong.status, wrong.errors?.map(({ pointer }) => pointer)], [400, ['/passwordRepeat']])
    assert.equal((await answer({ username: 'nina', email: 'nina@example.com', password, passwordRepeat: password })).stage, 'done')
    assert.deepEqual(await sessionOf(on), ['nina', '1fa', ['pwd']])
    const passkey = makePasskey({ origin: signet.issuer, rpId: 'localhost' })
    const registering = await begin(on, 'authenticator_webauthn')
    const credential = passkey.create(registering.first.passkey ?? assert.fail())
    assert.equal((await registering.answer({ credential })).stage, 'done')
    nina.passkey = passkey
    const app = await begin(on, 'authenticator_totp')
    nina.app = app.first.otpauthUrl ?? assert.fail()
    assert.equal((await app.answer({ code: totpCode(nina.app) })).stage, 'done')
    const written = await begin(on, 'authenticator_static')
    nina.codes = written.first.codes ?? []
    assert.ok(nina.codes.length >= 8)
    assert.equal((await written.answer()).stage, 'done')
    assert.equal((await (await begin(on, 'invalidation')).answer()).stage, 'done')
    assert.equal((await on.request('/api/v1/me')).status, 401)
  })

  it('signs in by the passkey alone, and not by the same answer again', async () => {
    const on = visitor()
    const { first, answer } = await begin(on, 'authentication')
    const credential = nina.passkey?.get(first.passkey ?? assert.fail())
    assert.equal((await answer({ credential })).stage, 'done')
    assert.deepEqual(await sessionOf(on), ['nina', 'phr', ['hwk', 'user', 'mfa']])
    const again = await begin(visitor(), 'authentication')
    assert.equal((await again.answer({ credential })).status, 400)
  })

  it('signs in by password and a code of the app', async () => {
    const on = visitor()
    const { asked, answer } = await untilFactor(on)
    assert.equal(asked.stage, 'authenticator_validate')
    assert.equal((await answer({ code: totpCode(nina.app, new Date(Date.now() + 30_000)) })).stage, 'done')
    assert.deepEqual(await sessionOf(on), ['nina', '2fa', ['pwd', 'otp', 'mfa']])
  })

  it('signs in by password and a recovery code once, and not twice', async () => {
    const [code] = nina.codes
    const once = await untilFactor(visitor())
    assert.equal((await once.answer({ code })).stage, 'done')
    const on = visitor()
    const twice = await untilFactor(on)
    assert.equal((await twice.answer({ code })).status, 400)
    assert.equal((await on.request('/api/v1/me')).status, 401)
  })

  it('gets back in by a mail, with a factor all the same, and by that mail once', async () => {
    const asking = await begin(visitor(), 'recovery')
    assert.equal((await asking.answer({ username: 'nina' })).stage, 'email')
    const token = await linkIn('nina@example.com', 'token')
    const on = visitor()
    const { first, answer } = await begin(on, `recovery?token=${token}`)
    assert.equal(first.stage, 'email')
    assert.equal((await answer()).stage, 'authenticator_validate')
    assert.equal((await answer({ code: nina.codes[1] })).stage, 'password_change')
    const renewed = 'another quiet harbour 9'
    assert.equal((await answer({ password: renewed, passwordRepeat: renewed })).stage, 'done')
    assert.equal((await untilFactor(visitor())).asked.status, 400, 'the old password is none any more')
    assert.equal((await untilFactor(visitor(), renewed)).asked.stage, 'authenticator_validate')
    const { first: used } = await begin(visitor(), `recovery?token=${token}`)
    assert.deepEqual([used.stage, (used as { reason?: string }).reason], ['deny', 'link_invalid'])
  })
})
