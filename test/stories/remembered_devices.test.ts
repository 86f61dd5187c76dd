/** A device on which a second factor was proven: it spares the routine question of a sign-in, and nothing else. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { newVisitor, type Page, type Visitor, walk } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, claimsOf, exchange, makeClient } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'
import { type MailServer, startMailServer } from '../support/smtp.ts'
import { totpCode } from '../support/totp.ts'

const password = 'quiet harbour lantern 7'

describe('a remembered device', () => {
  let signet: Signet
  let mail: MailServer
  let wiki: ClientCredentials
  let bank: ClientCredentials

  const setPolicy = async (authentication: object | null) => {
    const { status, text } = await signet.api('PATCH', '/api/v1/namespaces/default/authpolicies/default', { spec: { authentication } })
    assert.equal(status, 200, text)
  }

  before(async () => {
    mail = await startMailServer()
    signet = await startSignet({ settings: { SMTP_URL: mail.url, MAIL_FROM: 'Signet <signet@id.example>' } })
    wiki = await makeClient(signet, 'wiki', '  consent: implicit')
    bank = await makeClient(signet, 'bank', '  consent: implicit')
    await signet.api('PATCH', '/api/v1/namespaces/default/authclients/bank', { metadata: { labels: { app: 'bank' } } })
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: bank, namespace: default, labels: { signet.dev/auth-server: default } }
spec:
  clientSelector: { matchLabels: { app: bank } }
  authentication: { rememberDevice: 720h, requiredFactors: [totp] }
`)
    await setPolicy({ rememberDevice: '720h' })
  })
  after(async () => {
    await signet.stop()
    await mail.stop()
  })

  interface Somebody {
    id: string
    username: string
    app: string
  }
  /** Someone with an authenticator app. */
  const makePerson = async (username: string): Promise<Somebody> => {
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username,
      email: `${username}@example.com`,
      emailVerified: true,
    })
    assert.equal(made.status, 201, made.text)
    await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    const visitor = newVisitor(signet.issuer)
    await walk(visitor, await open(visitor), { username, password })
    const offered = await visitor.open(`${signet.issuer}/flow/authenticator_totp`)
    const app = /otpauth:\/\/[^"<\s]+/.exec(offered.html)?.[0].replaceAll('&amp;', '&') ?? assert.fail(offered.text)
    await visitor.submit(offered, { code: totpCode(app) })
    return { id: made.body.id, username, app }
  }
  const open = (visitor: Visitor) => visitor.open(`${signet.issuer}/flow/authentication?next=/account`)
  /** Each is good once, and the next comes in 30 seconds: so what was used is forgotten. */
  const code = async (person: Somebody): Promise<string> => {
    await signet.database.db.run(sql`update authenticators set last_step = 0 where user_id = ${person.id}`)
    return totpCode(person.app)
  }
  const withPassword = async (visitor: Visitor, { username }: Somebody, start?: Page, with_ = password): Promise<Page> =>
    walk(visitor, start ?? (await open(visitor)), { username, password: with_ })
  const signOut = async (visitor: Visitor) => {
    await visitor.submit(await visitor.open(`${signet.issuer}/flow/invalidation`))
    assert.equal((await visitor.request('/api/v1/me')).status, 401)
  }
  const sessionOf = async (visitor: Visitor) =>
    ((await (await visitor.request(`${signet.issuer}/api/v1/me`)).json()) as { session: { acr: string; amr: string[] } }).session
  /** Signs in, has the device remembered, and signs out. */
  const remember = async (person: Somebody): Promise<Visitor> => {
    const visitor = newVisitor(signet.issuer)
    const asked = await withPassword(visitor, person)
    assert.deepEqual(asked.forms[0]?.names, ['code', 'remember'], asked.text)
    const done = await visitor.submit(asked, { code: await code(person), remember: 'true' })
    assert.equal(new URL(done.url).pathname, '/account', done.text)
    await signOut(visitor)
    return visitor
  }
  const isAsked = (page: Page): boolean => page.forms[0]?.fields.stage === 'authenticator_validate'

  it('is offered only where the policies allow it, unticked, and not remembered unless it is ticked', async () => {
    const person = await makePerson('ada')
    await setPolicy(null)
    const without = await withPassword(newVisitor(signet.issuer), person)
    assert.deepEqual(without.forms[0]?.names, ['code'])
    await setPolicy({ rememberDevice: '720h' })
    const visitor = newVisitor(signet.issuer)
    const offered = await withPassword(visitor, person)
    assert.deepEqual(offered.forms[0]?.names, ['code', 'remember'])
    assert.equal(offered.forms[0]?.fields.remember, undefined)
    await visitor.submit(offered, { code: await code(person) })
    await signOut(visitor)
    assert.equal(visitor.cookies.has('signet_device'), false)
    assert.equal(isAsked(await withPassword(visitor, person)), true)
  })

  it('spares the code and proves nothing: the session is worth one factor, and nothing but a hash is stored', async () => {
    const person = await makePerson('bea')
    const visitor = newVisitor(signet.issuer)
    const asked = await withPassword(visitor, person)
    const wrong = await visitor.submit(asked, { code: '000000', remember: 'true' })
    assert.equal(wrong.status, 400)
    assert.equal(wrong.forms[0]?.fields.remember, 'true', 'the tick stays')
    const form = wrong.forms[0]
    const answer = await visitor.request(form?.action ?? '', {
      method: 'POST',
      body: new URLSearchParams({ ...form?.fields, code: await code(person), remember: 'true' }),
      headers: { origin: signet.issuer },
    })
    const [cookie = ''] = answer.headers.getSetCookie().filter((line) => line.startsWith('signet_device='))
    assert.match(cookie, /^signet_device=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/)
    assert.deepEqual(await sessionOf(visitor), { ...(await sessionOf(visitor)), acr: '2fa', amr: ['pwd', 'otp', 'mfa'] })
    const token = visitor.cookies.get('signet_device') ?? assert.fail()
    const { row } = await signet.database.db.one<{ row: string }>(
      sql`select remembered_devices::text as row from remembered_devices where user_id = ${person.id}`,
    )
    assert.ok(!row.includes(token))
    assert.ok(row.includes(createHash('sha256').update(token).digest('hex')))
    await signOut(visitor)
    const done = await withPassword(visitor, person)
    assert.equal(new URL(done.url).pathname, '/account', done.text)
    const { acr, amr } = await sessionOf(visitor)
    assert.deepEqual([acr, amr], ['1fa', ['pwd']])
  })

  it('is no step-up: acr_values and a policy that requires factors ask all the same', async () => {
    const person = await makePerson('cid')
    const visitor = await remember(person)
    const wants2fa = authorizeUrl(signet, wiki, { scope: 'openid', acr_values: '2fa' })
    const asked = await withPassword(visitor, person, await visitor.open(wants2fa.url))
    assert.ok(isAsked(asked), asked.text)
    assert.deepEqual(asked.forms[0]?.names, ['code'], 'where it would not help it is not offered')
    const plain = authorizeUrl(signet, wiki, { scope: 'openid' })
    const done = await withPassword(visitor, person, await visitor.open(plain.url))
    const code1 = done.left?.searchParams.get('code') ?? assert.fail(done.text)
    assert.equal(claimsOf((await exchange(signet, wiki, { ...plain, code: code1 })).body.id_token).acr, '1fa')
    for (const url of [wants2fa.url, authorizeUrl(signet, bank, { scope: 'openid' }).url]) {
      const page = await visitor.open(url)
      assert.ok(isAsked(page), page.text)
      assert.deepEqual(page.forms[0]?.names, ['code'])
    }
    await visitor.submit(await visitor.open(wants2fa.url), { code: await code(person) })
    assert.equal((await sessionOf(visitor)).acr, '2fa')
  })

  it('is one person’s: another at the same device is asked, and so is the person elsewhere', async () => {
    const [mine, theirs] = [await makePerson('dan'), await makePerson('eve')]
    const visitor = await remember(mine)
    const other = await withPassword(visitor, theirs)
    assert.ok(isAsked(other), other.text)
    assert.ok(isAsked(await withPassword(newVisitor(signet.issuer), mine)))
    // What someone put into the browser of another is not what the browser is remembered by.
    const planted = visitor.cookies.get('signet_device')
    await visitor.submit(other, { code: await code(theirs), remember: 'true' })
    assert.notEqual(visitor.cookies.get('signet_device'), planted)
  })

  it('lets nobody change factors without proving one', async () => {
    const person = await makePerson('fay')
    const visitor = await remember(person)
    await withPassword(visitor, person)
    const start = await visitor.open(`${signet.issuer}/flow/authenticator_static`)
    assert.equal(new URL(start.url).pathname, '/flow/authentication')
    const asked = await withPassword(visitor, person, start)
    assert.ok(isAsked(asked), asked.text)
    const offered = await visitor.submit(asked, { code: await code(person) })
    assert.equal(new URL(offered.url).pathname, '/flow/authenticator_static', offered.text)
    await signOut(visitor)
    const again = await remember(person)
    await withPassword(again, person)
    const factors = await again.open('/account/factors')
    const removal = factors.forms.findIndex((form) => 'factor' in form.fields)
    const led = await again.submit(factors, {}, removal)
    assert.equal(new URL(led.url).pathname, '/flow/authentication')
    assert.ok(isAsked(await withPassword(again, person, led)))
  })

  it('is forgotten when the password, a factor or the sessions go, when the person is not active for a while, and by recovery', async () => {
    const ways: [string, (person: Somebody, visitor: Visitor) => Promise<string | undefined>][] = [
      [
        'password',
        async ({ id }) => {
          const changed = 'another quiet harbour 9'
          await signet.api('POST', `/api/v1/users/${id}/password`, { password: changed })
          return changed
        },
      ],
      [
        'factor',
        async (person) => {
          const elsewhere = newVisitor(signet.issuer)
          await elsewhere.submit(await withPassword(elsewhere, person), { code: await code(person) })
          await elsewhere.submit(await elsewhere.open(`${signet.issuer}/flow/authenticator_static`))
          return undefined
        },
      ],
      ['sessions', async ({ id }) => void (await signet.api('DELETE', `/api/v1/users/${id}/sessions`))],
      [
        'others',
        async (person) => {
          const elsewhere = newVisitor(signet.issuer)
          await elsewhere.submit(await withPassword(elsewhere, person), { code: await code(person) })
          const another = newVisitor(signet.issuer)
          await another.submit(await withPassword(another, person), { code: await code(person) })
          const page = await elsewhere.open('/account/sessions')
          await elsewhere.submit(
            page,
            {},
            page.forms.findIndex(({ buttons }) => buttons.some(({ name }) => name === 'others')),
          )
          return undefined
        },
      ],
      [
        'inactive',
        async ({ id }) => {
          await signet.api('PATCH', `/api/v1/users/${id}`, { active: false })
          await signet.api('PATCH', `/api/v1/users/${id}`, { active: true })
          return undefined
        },
      ],
    ]
    for (const [name, forget] of ways) {
      const person = await makePerson(`gus-${name}`)
      const visitor = await remember(person)
      const now = (await forget(person, visitor)) ?? password
      assert.ok(isAsked(await withPassword(visitor, person, undefined, now)), name)
    }
    const person = await makePerson('gus-recovery')
    const visitor = await remember(person)
    await visitor.submit(await visitor.open(`${signet.issuer}/flow/recovery`), { username: person.username })
    const mailed = await mail.next(`${person.username}@example.com`, /token=/)
    const link = /https?:\/\/\S+\/flow\/recovery\?token=[\w-]+/.exec(mailed.text)?.[0] ?? assert.fail(mailed.text)
    const opened = await visitor.submit(await visitor.open(link))
    assert.ok(isAsked(opened), 'recovery is never spared')
    assert.deepEqual(opened.forms[0]?.names, ['code'])
  })

  it('is forgotten one by one in the portal, and the oldest of more than ten by itself', async () => {
    const person = await makePerson('hal')
    const visitor = await remember(person)
    await withPassword(visitor, person)
    const page = await visitor.open('/account/sessions')
    const listed = page.forms.findIndex((form) => 'device' in form.fields)
    const after = await visitor.submit(page, {}, listed)
    assert.equal(after.status, 200)
    assert.equal(
      after.forms.findIndex((form) => 'device' in form.fields),
      -1,
    )
    await signOut(visitor)
    assert.ok(isAsked(await withPassword(visitor, person)))
    for (let i = 0; i < 11; i++) await remember(person)
    const { count } = await signet.database.db.one<{ count: number }>(
      sql`select count(*)::integer as count from remembered_devices where user_id = ${person.id}`,
    )
    assert.equal(count, 10)
  })

  it('lasts as long as the policies say now, and the flow may say less', async () => {
    const person = await makePerson('ida')
    const visitor = await remember(person)
    await signet.database.db.run(
      sql`update remembered_devices set created_at = created_at - interval '2 hours' where user_id = ${person.id}`,
    )
    await setPolicy({ rememberDevice: '1h' })
    assert.ok(isAsked(await withPassword(visitor, person)))
    await setPolicy({ rememberDevice: '3h' })
    assert.equal(isAsked(await withPassword(visitor, person)), false)
    await signOut(visitor)
    await setPolicy({ rememberDevice: '720h' })
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: Flow
metadata: { name: authentication, namespace: default }
spec:
  designation: authentication
  stages:
    - { stage: identification }
    - { stage: password }
    - { stage: authenticator_validate }
    - { stage: user_login, rememberDevice: 1h }
`)
    assert.ok(isAsked(await withPassword(visitor, person)))
  })
})
