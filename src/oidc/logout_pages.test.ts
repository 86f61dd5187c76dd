import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { authorize, claimsOf, clientManifest, cookiesOf, exchange } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'
import { loadKeyring } from './keyring.ts'
import { rotationSettingsOf } from './rotation_settings.ts'

const bye = 'https://client.example/bye'
const backchannelLogout = 'http://schemas.openid.net/event/backchannel-logout'
/** Its ID tokens name the session. */
const naming = `  backchannelLogoutUri: http://127.0.0.1:9/logout\n  backchannelLogoutSessionRequired: true\n  postLogoutRedirectUris: [${bye}]\n`

interface Client {
  client_id: string
  client_secret: string
}

describe('signing out by a client', () => {
  let test: TestIssuer
  let app: Client
  let desk: Client
  let plain: Client
  let pairwise: Client
  let count = 0

  before(async () => {
    test = await startIssuer()
    await test.apply(
      [
        clientManifest('app', naming),
        clientManifest('desk', naming),
        clientManifest('plain', `  postLogoutRedirectUris: [${bye}]\n`),
        clientManifest('pairwise', `${naming}  subjectType: pairwise\n`),
      ].join('---\n'),
    )
    const all = await Promise.all(['app', 'desk', 'plain', 'pairwise'].map((name) => test.credentials(name)))
    ;[app, desk, plain, pairwise] = all as [Client, Client, Client, Client]
  })
  after(() => test.close())

  const someone = () => test.signIn(`person${++count}`)
  const tokensFor = async (client: Client, cookie: string) => (await exchange(test, client, await authorize(test, client, cookie))).body
  const hintFor = async (client: Client, cookie: string): Promise<string> => String((await tokensFor(client, cookie)).id_token)
  /** As one that ends in the log of another program. */
  const logoutTokenFor = async (client: Client, cookie: string): Promise<string> => {
    const { sub, sid } = claimsOf(await hintFor(client, cookie))
    const { db, snapshot, rootSecret, issuer } = test
    const authServer = snapshot.findAuthServer('default', 'default') ?? assert.fail('no AuthServer')
    const deps = { db, rootSecret, log: openLog('silent') }
    const { signers } = await loadKeyring(deps, { issuer, settings: rotationSettingsOf(authServer) }, new Date())
    const signer = signers.get('ES256') ?? assert.fail('no key')
    const iat = Math.floor(Date.now() / 1_000)
    const claims = { iss: issuer, aud: client.client_id, sub, sid, iat, exp: iat + 120, events: { [backchannelLogout]: {} } }
    const signed = [{ alg: 'ES256', kid: signer.kid, typ: 'logout+jwt' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    return `${signed}.${signer.sign(signed).toString('base64url')}`
  }
  const ask = (cookie: string, parameters: Record<string, string>, init: RequestInit = {}): Promise<Response> =>
    fetch(`${test.issuer}/oauth2/end-session?${new URLSearchParams(parameters)}`, {
      redirect: 'manual',
      ...init,
      headers: { cookie, ...init.headers },
    })
  const isAlive = async (uid: string) =>
    (await test.db.any({ name: 'alive', text: 'select 1 from sessions where uid = $1', values: [uid] })).length === 1
  const endings = async (username: string) =>
    await test.db.any<{ actor: string; data: { count: number } }>({
      name: 'endings',
      text: `select actor, data from events where action = 'session.ended' and target_name = $1`,
      values: [username],
    })

  for (const [title, client] of [
    ['', () => app],
    [' and a pairwise subject', () => pairwise],
  ] as const)
    it(`with the ID token of this very sign-in${title} ends the session at once, and leads on`, async () => {
      const person = await someone()
      const id_token_hint = await hintFor(client(), person.cookie)
      const answer = await ask(person.cookie, { id_token_hint, post_logout_redirect_uri: bye, state: 's 1' })
      assert.deepEqual([answer.status, answer.headers.get('location')], [303, `${bye}?state=s+1`])
      assert.match(cookiesOf(answer), /signet_session=(;|$)/)
      assert.equal(await isAlive(person.uid), false)
      assert.deepEqual(
        (await endings(`person${count}`)).map(({ actor, data }) => [actor, data.count]),
        [[`person${count}`, 1]],
      )
    })

  it('by POST comes to the same, with the cookies that a browser sends along after a redirect', async () => {
    const person = await someone()
    const body = new URLSearchParams({ id_token_hint: await hintFor(app, person.cookie), post_logout_redirect_uri: bye, state: 'a b' })
    const post = (body: URLSearchParams | string) =>
      fetch(`${test.issuer}/oauth2/end-session`, { method: 'POST', redirect: 'manual', body })
    const first = await post(body)
    assert.deepEqual([first.status, first.headers.get('location')], [303, `${test.issuer}/oauth2/end-session?${body}`])
    assert.equal(await isAlive(person.uid), true)
    const then = await fetch(first.headers.get('location') ?? '', { redirect: 'manual', headers: { cookie: person.cookie } })
    assert.deepEqual([then.status, then.headers.get('location')], [303, `${bye}?state=a+b`])
    assert.equal(await isAlive(person.uid), false)
    for (const refused of [new URLSearchParams({ state: 'x'.repeat(9_000) }), 'state=as+text'])
      assert.equal((await post(refused)).status, 400)
  })

  it('tells every client of the session', async () => {
    const person = await someone()
    const sids = [claimsOf(await hintFor(desk, person.cookie)).sid]
    const id_token_hint = await hintFor(app, person.cookie)
    sids.push(claimsOf(id_token_hint).sid)
    await ask(person.cookie, { id_token_hint })
    const told = await test.db.any<{ sid: string }>({
      name: 'told',
      text: 'select sid from backchannel_logouts where user_id = $1',
      values: [person.user_id],
    })
    assert.deepEqual(told.map(({ sid }) => sid).sort(), sids.sort())
  })

  it('without an address to go to leads to the page that says so', async () => {
    const person = await someone()
    const answer = await ask(person.cookie, { id_token_hint: await hintFor(app, person.cookie) })
    assert.deepEqual([answer.status, answer.headers.get('location')], [303, `${test.issuer}/oauth2/end-session/success`])
    const page = await fetch(answer.headers.get('location') ?? '')
    assert.match(await page.text(), /You are signed out/)
  })

  it('by the button of the page ends it with the same event', async () => {
    const person = await someone()
    const page = await ask(person.cookie, { client_id: app.client_id })
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(await page.text()) ?? []
    const body = new URLSearchParams({ xsrf, logout: 'yes' })
    const done = await fetch(`${test.issuer}/oauth2/end-session/confirm`, {
      method: 'POST',
      redirect: 'manual',
      body,
      headers: { cookie: person.cookie },
    })
    assert.equal(done.status, 303)
    assert.equal(await isAlive(person.uid), false)
    assert.equal((await endings(`person${count}`)).length, 1)
  })

  /** By someone who is signed in, and may have a hint of their own. */
  const asked: [title: string, parameters: (cookie: string) => Promise<Record<string, string>>, init?: RequestInit][] = [
    ['no hint', async () => ({ client_id: app.client_id })],
    ['nothing at all', async () => ({})],
    ['a hint of another person', async () => ({ id_token_hint: await hintFor(app, (await someone()).cookie) })],
    ['a hint that names no session', async (cookie) => ({ id_token_hint: await hintFor(plain, cookie) })],
    [
      'a hint of an earlier session of theirs',
      async (cookie) => {
        const id_token_hint = await hintFor(app, cookie)
        await test.db.run({
          name: 'renamed',
          text: `update sessions set payload = jsonb_set(payload, array['authorizations', $1, 'sid'], '"another"') where payload -> 'authorizations' -> $1 ->> 'sid' = $2`,
          values: [app.client_id, claimsOf(id_token_hint).sid],
        })
        return { id_token_hint }
      },
    ],
    [
      'a hint of a client that has no part in the session any more',
      async (cookie) => {
        const id_token_hint = await hintFor(app, cookie)
        await test.db.run({
          name: 'left',
          text: `update sessions set payload = payload #- array['authorizations', $1] where payload -> 'authorizations' -> $1 ->> 'sid' = $2`,
          values: [app.client_id, claimsOf(id_token_hint).sid],
        })
        return { id_token_hint }
      },
    ],
    [
      'a browser that looks ahead',
      async (cookie) => ({ id_token_hint: await hintFor(app, cookie) }),
      { headers: { 'sec-purpose': 'prefetch;prerender' } },
    ],
    [
      'one that looks ahead and says so as of old',
      async (cookie) => ({ id_token_hint: await hintFor(app, cookie) }),
      { headers: { purpose: 'prefetch' } },
    ],
    [
      'a picture of some page',
      async (cookie) => ({ id_token_hint: await hintFor(app, cookie) }),
      { headers: { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } },
    ],
    [
      'a frame in some page',
      async (cookie) => ({ id_token_hint: await hintFor(app, cookie) }),
      { headers: { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' } },
    ],
    ['a logout token, which others have as well', async (cookie) => ({ id_token_hint: await logoutTokenFor(app, cookie) })],
  ]
  for (const [title, parameters, init] of asked)
    it(`is asked about, with ${title}`, async () => {
      const person = await someone()
      const answer = await ask(person.cookie, { post_logout_redirect_uri: bye, ...(await parameters(person.cookie)) }, init)
      assert.equal(answer.status, 200)
      assert.match(await answer.text(), /Sign out\?/)
      assert.equal(await isAlive(person.uid), true)
    })

  const refused: [title: string, hint: (cookie: string) => Promise<string>][] = [
    [
      'a signature that was changed',
      async (cookie) =>
        (await hintFor(app, cookie)).replace(/\.([^.])([^.]*)$/, (_, first, rest) => `.${first === 'A' ? 'B' : 'A'}${rest}`),
    ],
    [
      'another subject under an old signature',
      async (cookie) => {
        const [header, , signature] = (await hintFor(app, cookie)).split('.')
        const claims = claimsOf(await hintFor(app, (await someone()).cookie))
        return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
      },
    ],
    [
      'no signature',
      async (cookie) => {
        const [, payload] = (await hintFor(app, cookie)).split('.')
        return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
      },
    ],
    ['an access token', async (cookie) => String((await tokensFor(app, cookie)).access_token)],
    ['what is no token', async () => 'a.b.c'],
  ]
  for (const [title, hint] of refused)
    it(`is not done for ${title}`, async () => {
      const person = await someone()
      const answer = await ask(person.cookie, { id_token_hint: await hint(person.cookie), post_logout_redirect_uri: bye })
      assert.equal(answer.status, 400)
      assert.equal(await isAlive(person.uid), true)
    })

  it('is not done for a HEAD, nor for an address that is not registered', async () => {
    const person = await someone()
    const id_token_hint = await hintFor(app, person.cookie)
    assert.equal((await ask(person.cookie, { id_token_hint }, { method: 'HEAD' })).status, 200)
    assert.equal((await ask(person.cookie, { id_token_hint, post_logout_redirect_uri: 'https://evil.example/' })).status, 400)
    assert.equal((await ask(person.cookie, { id_token_hint, client_id: desk.client_id })).status, 400)
    assert.equal(await isAlive(person.uid), true)
  })

  it('with a hint that has expired is done all the same', async (context) => {
    const person = await someone()
    const id_token_hint = await hintFor(app, person.cookie)
    context.mock.timers.enable({ apis: ['Date'], now: Number(claimsOf(id_token_hint).exp) * 1_000 + 60_000 })
    assert.equal((await ask(person.cookie, { id_token_hint, post_logout_redirect_uri: bye })).headers.get('location'), bye)
    assert.equal(await isAlive(person.uid), false)
  })
})
