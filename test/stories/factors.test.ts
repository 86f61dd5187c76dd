/** Second factors and self-service as a person meets them without scripts, and through JSON. In Chromium: chromium_sign_in.test.ts. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, claimsOf, exchange, makeClient, signIn } from '../support/oauth.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'

describe('factors and self-service', () => {
  let signet: Signet
  let mail: MailServer
  let client: ClientCredentials

  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({ settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>' } })
    client = await makeClient(signet, 'shop')
  })
  after(async () => {
    await signet.stop()
    await mail.stop()
  })

  const makeUser = async (username: string, emailVerified = true): Promise<string> => {
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username,
      name: `${username} of the harbour`,
      email: `${username}@example.com`,
      emailVerified,
    })
    assert.equal(made.status, 201, made.text)
    assert.equal((await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })).status < 300, true)
    return made.body.id
  }

  const enter = async (visitor: Visitor, username: string, more: Record<string, string> = {}): Promise<Page> =>
    walk(visitor, await visitor.open(`${signet.issuer}/flow/authentication?next=/account`), { username, password, ...more })

  const otpauthIn = (page: Page): string => {
    const found = /otpauth:\/\/[^"<\s]+/.exec(page.html)?.[0].replaceAll('&amp;', '&')
    assert.ok(found, page.text)
    return found
  }
  const codesIn = (page: Page): string[] => [...page.html.matchAll(/<code>([^<]+)<\/code>/g)].map((match) => match[1] ?? '')

  it('an invitation enrols one person, once', async () => {
    const invited = await signet.api<{ url: string; email: string; expiresAt: string }>('POST', '/api/v1/invitations', {
      email: 'nina@example.com',
      expiresIn: '1h',
      send: true,
    })
    assert.equal(invited.status, 201, invited.text)
    assert.match((await mail.next('nina@example.com')).text, /\/flow\/enrollment\?invitation=/)
    const visitor = newVisitor(signet.issuer)
    const answers = { username: 'nina', name: 'Nina Harbour', email: 'nina@example.com', password, passwordRepeat: password }
    const done = await walk(visitor, await visitor.open(invited.body.url), answers)
    assert.equal(done.status, 200, done.text)
    const me = await visitor.request(`${signet.issuer}/api/v1/me`)
    assert.equal(((await me.json()) as { username: string }).username, 'nina')
    const { body } = await signet.api<{ items: { emailVerified: boolean }[] }>('GET', '/api/v1/users?q=nina@example.com')
    assert.equal(body.items[0]?.emailVerified, true)
    const again = await newVisitor(signet.issuer).open(invited.body.url)
    assert.match(again.text, /This invitation does not work/)
  })

  it('an authenticator app is set up, asked for at sign-in, and no code of it works twice', async () => {
    await makeUser('tom')
    const visitor = newVisitor(signet.issuer)
    await enter(visitor, 'tom')
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = otpauthIn(offered)
    const wrong = await visitor.submit(offered, { code: '000000' })
    assert.equal(wrong.status, 400)
    assert.equal(otpauthIn(wrong), app, 'the same secret is offered still')
    const first = new Date()
    const setUp = await visitor.submit(wrong, { code: totpCode(app, first), name: 'My phone' })
    assert.match(setUp.text, /My phone/)
    const other = newVisitor(signet.issuer)
    const asked = await enter(other, 'tom')
    assert.ok(asked.forms[0]?.names.includes('code'), asked.text)
    const used = await other.submit(asked, { code: totpCode(app, first) })
    assert.equal(used.status, 400, 'the code that set it up is used')
    const next = await other.submit(used, { code: totpCode(app, new Date(first.getTime() + 30_000)) })
    assert.equal(new URL(next.url).pathname, '/account')
    const session = (await (await other.request(`${signet.issuer}/api/v1/me`)).json()) as { session: { acr: string; amr: string[] } }
    assert.deepEqual([session.session.acr, session.session.amr], ['2fa', ['pwd', 'otp', 'mfa']])
  })

  it('recovery codes are shown once, and each signs in once', async () => {
    await makeUser('rita')
    const visitor = newVisitor(signet.issuer)
    await enter(visitor, 'rita')
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_static`)
    const codes = codesIn(offered)
    assert.ok(codes.length >= 8, offered.text)
    const kept = await visitor.submit(offered)
    assert.equal(new URL(kept.url).pathname, '/account/factors')
    const once = newVisitor(signet.issuer)
    const signedIn = await once.submit(await enter(once, 'rita'), { code: codes[0]?.toLowerCase() ?? '' })
    assert.equal(new URL(signedIn.url).pathname, '/account')
    const twice = newVisitor(signet.issuer)
    assert.equal((await twice.submit(await enter(twice, 'rita'), { code: codes[0] ?? '' })).status, 400)
  })

  it('codes by mail are offered to whoever has an address, and setting them up confirms it', async () => {
    const id = await makeUser('una', false)
    const visitor = newVisitor(signet.issuer)
    await enter(visitor, 'una')
    const isConfirmed = async () => (await signet.api<{ emailVerified: boolean }>('GET', `/api/v1/users/${id}`)).body.emailVerified
    assert.match((await visitor.open(`${signet.issuer}/account/factors`)).html, /href="\/flow\/authenticator_email"/)
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_email`)
    const { text } = await mail.next('una@example.com', /^\s*\d{6}\s*$/m)
    assert.doesNotMatch(text, /una of the harbour/, 'whose mailbox it is nobody knows yet')
    assert.equal((await visitor.submit(offered, { code: '12345' })).status, 400)
    assert.equal(await isConfirmed(), false)
    const done = await visitor.submit(offered, { code: /^\s*(\d{6})\s*$/m.exec(text)?.[1] ?? '' })
    assert.equal(new URL(done.url).pathname, '/account/factors', done.text)
    assert.equal(await isConfirmed(), true)
    const other = newVisitor(signet.issuer)
    assert.match((await enter(other, 'una')).text, /a code is on its way to u…@example\.com/)
  })

  it('so many mails go to an address that nobody has confirmed, and no more', async () => {
    await makeUser('uma', false)
    const statuses = new Set<number>()
    for (let i = 0; i < 12; i++) {
      const visitor = newVisitor(signet.issuer)
      await enter(visitor, 'uma')
      statuses.add((await visitor.open(`${signet.issuer}/flow/authenticator_email`)).status)
    }
    assert.deepEqual([...statuses], [200, 429])
  })

  it('an account is recovered by a mail, whose link is used by the post and not by opening it; a second factor is asked all the same', async () => {
    await makeUser('rob')
    const setUp = newVisitor(signet.issuer)
    await enter(setUp, 'rob')
    const offered = await setUp.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = otpauthIn(offered)
    await setUp.submit(offered, { code: totpCode(app) })
    const lost = newVisitor(signet.issuer)
    const start = await lost.open(`${signet.issuer}/flow/recovery`)
    const sent = await lost.submit(start, { username: 'rob@example.com' })
    assert.match(sent.text, /Look into your mailbox/)
    const unknown = newVisitor(signet.issuer)
    const nobody = await unknown.submit(await unknown.open(`${signet.issuer}/flow/recovery`), { username: 'nobody-at-all' })
    assert.equal(nobody.text, sent.text)
    const link =
      /https?:\/\/\S+\/flow\/recovery\?token=[\w-]+/.exec((await mail.next('rob@example.com', /token=/)).text)?.[0] ?? assert.fail()
    assert.ok(link.startsWith(signet.issuer))
    await newVisitor(signet.issuer).open(link)
    const visitor = newVisitor(signet.issuer)
    const opened = await visitor.open(link)
    const asked = await visitor.submit(opened)
    assert.ok(asked.forms[0]?.names.includes('code'), asked.text)
    const chosen = await visitor.submit(asked, { code: totpCode(app, new Date(Date.now() + 30_000)) })
    const renewed = 'another quiet harbour 9'
    const done = await visitor.submit(chosen, { password: renewed, passwordRepeat: renewed })
    assert.equal(done.status, 200, done.text)
    assert.equal((await visitor.request(`${signet.issuer}/api/v1/me`)).status, 200)
    assert.match((await newVisitor(signet.issuer).open(link)).text, /This link does not work any more/)
  })

  it('the same sign-in by plain HTTP calls', async () => {
    await makeUser('jo')
    const jar = newVisitor(signet.issuer)
    const call = async (method: 'GET' | 'POST', path: string, body?: object) => {
      const answer = await jar.request(`${signet.issuer}${path}`, {
        method,
        ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json', origin: signet.issuer } } : {}),
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    }
    const first = await call('GET', '/api/v1/flows/authentication?next=/account')
    assert.equal(first.body.stage, 'identification')
    assert.ok(first.body.passkey, 'options of a passkey')
    const { attempt } = first.body
    const second = await call('POST', '/api/v1/flows/authentication', { attempt, stage: 'identification', username: 'jo' })
    assert.equal(second.body.stage, 'password')
    const wrong = await call('POST', '/api/v1/flows/authentication', { attempt, stage: 'password', password: 'no' })
    assert.equal(wrong.status, 400)
    assert.equal((wrong.body.challenge as { stage: string }).stage, 'password')
    const done = await call('POST', '/api/v1/flows/authentication', { attempt, stage: 'password', password })
    assert.deepEqual(done.body, { stage: 'done', next: '/account' })
    assert.equal((await jar.request(`${signet.issuer}/api/v1/me`)).status, 200)
    assert.equal((await call('POST', '/api/v1/flows/authentication', { attempt, stage: 'password', password })).status, 409)
  })

  it('a client that asks for acr_values gets the missing factor asked on a live session, and told in its ID token', async () => {
    await makeUser('sue')
    const seconds = () => Math.floor(Date.now() / 1_000)
    const signedIn = await signIn(signet, client, { username: 'sue', password })
    const weak = claimsOf((await exchange(signet, client, signedIn)).body.id_token)
    assert.equal(weak.acr, '1fa')
    const { visitor } = signedIn
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = otpauthIn(offered)
    await visitor.submit(offered, { code: totpCode(app) })
    const started = authorizeUrl(signet, client, { acr_values: '2fa' })
    const asked = await visitor.open(started.url)
    assert.ok(asked.forms[0]?.names.includes('code') && !asked.forms[0].names.includes('password'), asked.text)
    const provenAt = await until(() => seconds() > Number(weak.auth_time) && seconds())
    const page = await walk(visitor, asked, { code: totpCode(app, new Date(Date.now() + 30_000)) })
    const code = page.left?.searchParams.get('code') ?? assert.fail(page.text)
    const strong = claimsOf((await exchange(signet, client, { ...started, code })).body.id_token)
    assert.deepEqual([strong.acr, strong.amr], ['2fa', ['pwd', 'otp', 'mfa']])
    assert.ok(Number(strong.auth_time) >= provenAt && Number(strong.auth_time) <= seconds(), 'when the factor was proven')
    const again = authorizeUrl(signet, client, { acr_values: '2fa' })
    const quiet = (await visitor.open(again.url)).left?.searchParams.get('code') ?? assert.fail('what is there is not asked again')
    const same = claimsOf((await exchange(signet, client, { ...again, code: quiet })).body.id_token)
    assert.deepEqual([same.acr, same.amr, same.auth_time], [strong.acr, strong.amr, strong.auth_time])
  })

  it('factors are changed only after a fresh sign-in, and only one’s own', async () => {
    const stranger = newVisitor(signet.issuer)
    const page = await stranger.open(`${signet.issuer}/flow/authenticator_totp`)
    assert.equal(new URL(page.url).pathname, '/flow/authentication')
    const answer = await stranger.request(`${signet.issuer}/api/v1/flows/authenticator_totp`)
    assert.equal(answer.status, 401)
  })
})
