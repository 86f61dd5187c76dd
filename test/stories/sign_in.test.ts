import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { newVisitor, walk } from '../support/http.ts'
import { authorizeUrl, type ClientCredentials, claimsOf, exchange, makeClient, redirectUri, signIn } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

describe('a person signs in to a client', () => {
  let signet: Signet
  let client: ClientCredentials
  before(async () => {
    signet = await startSignet()
    client = await makeClient(signet, 'wiki')
    const { body } = await signet.api<{ id: string }>('POST', '/api/v1/users', {
      username: 'ada',
      email: 'ada@example.com',
      name: 'Ada Lovelace',
    })
    await signet.api('POST', `/api/v1/users/${body.id}/password`, { password: 'analytical engine' })
    await signet.api('POST', '/api/v1/groups', { name: 'engineers', members: ['ada'] })
  })
  after(() => signet.stop())

  const ada = { username: 'ada', password: 'analytical engine' }

  test('with name, password and consent, and the client gets a code that buys tokens', async () => {
    const visitor = newVisitor(signet.issuer)
    const started = authorizeUrl(signet, client, { scope: 'openid profile email groups offline_access', prompt: 'consent' })
    const asked = await visitor.open(started.url)
    assert.equal(asked.status, 200)
    assert.ok(asked.forms[0]?.names.includes('username'), asked.text)
    assert.equal(Object.keys(asked.forms[0]?.fields ?? {}).filter((name) => name === 'attempt' || name === 'stage').length, 2)
    let page = await visitor.submit(asked, ada)
    if (page.forms[0]?.names.includes('password')) page = await visitor.submit(page, ada)
    assert.equal(page.forms[0]?.fields.stage, 'consent', page.text)
    assert.match(page.text, /Client wiki/)
    page = await visitor.submit(page)
    assert.equal(page.left?.href.split('?')[0], redirectUri)
    assert.equal(page.left?.searchParams.get('state'), started.state)
    assert.equal(page.left?.searchParams.get('iss'), signet.issuer)

    const { status, body } = await exchange(signet, client, { ...started, code: page.left?.searchParams.get('code') ?? '' })
    assert.equal(status, 200, JSON.stringify(body))
    const keys = createRemoteJWKSet(new URL(`${signet.issuer}/oauth2/jwks`))
    const id = await jwtVerify(body.id_token ?? '', keys, { issuer: signet.issuer, audience: client.client_id, algorithms: ['ES256'] })
    assert.equal(id.payload.nonce, started.nonce)
    const access = await jwtVerify(body.access_token ?? '', keys, { issuer: signet.issuer, algorithms: ['ES256'], typ: 'at+jwt' })
    assert.equal(access.payload.client_id, client.client_id)
    assert.equal(access.payload.sub, id.payload.sub)
    assert.ok(body.refresh_token)

    const userinfo = await fetch(`${signet.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${body.access_token}` } })
    const claims = (await userinfo.json()) as Record<string, unknown>
    assert.equal(claims.sub, id.payload.sub)
    assert.equal(claims.email, 'ada@example.com')
    assert.equal(claims.name, 'Ada Lovelace')
    assert.equal(claims.preferred_username, 'ada')
    assert.deepEqual(claims.groups, ['engineers'])
  })

  test('and is not asked again while the session and the consent last', async () => {
    const { visitor } = await signIn(signet, client, ada)
    const page = await visitor.open(authorizeUrl(signet, client).url)
    assert.ok(page.left?.searchParams.get('code'), page.text)
    const none = await visitor.open(authorizeUrl(signet, client, { prompt: 'none' }).url)
    assert.ok(none.left?.searchParams.get('code'))
  })

  test('prompt=login asks for the password again, and auth_time tells it', async () => {
    const first = await signIn(signet, client, ada)
    const tokens = await exchange(signet, client, first)
    const again = await first.visitor.open(authorizeUrl(signet, client, { prompt: 'login' }).url)
    assert.ok(again.forms[0]?.names.includes('username') || again.forms[0]?.names.includes('password'), again.text)
    const second = await signIn(signet, client, { ...ada, visitor: first.visitor, parameters: { prompt: 'login consent', max_age: '100' } })
    const { body } = await exchange(signet, client, second)
    assert.ok(Number(claimsOf(body.id_token).auth_time) >= Number(claimsOf(tokens.body.id_token).auth_time ?? 0))
  })

  test('without a session prompt=none answers login_required', async () => {
    const page = await newVisitor(signet.issuer).open(authorizeUrl(signet, client, { prompt: 'none' }).url)
    assert.equal(page.left?.searchParams.get('error'), 'login_required')
  })

  test('declining the sign-in answers access_denied', async () => {
    const visitor = newVisitor(signet.issuer)
    const started = authorizeUrl(signet, client)
    const page = await visitor.submit(await visitor.open(started.url), {}, 1)
    assert.equal(page.left?.searchParams.get('error'), 'access_denied', page.text)
    assert.equal(page.left?.searchParams.get('state'), started.state)
  })

  test('declining the consent answers access_denied, and the person stays signed in', async () => {
    const visitor = newVisitor(signet.issuer)
    let page = await visitor.open(authorizeUrl(signet, client, { prompt: 'consent' }).url)
    for (let steps = 0; steps < 3 && page.forms[0]?.fields.stage !== 'consent'; steps++) page = await visitor.submit(page, ada)
    page = await visitor.submit(page, {}, 1)
    assert.equal(page.left?.searchParams.get('error'), 'access_denied', page.text)
    assert.equal((await visitor.request('/api/v1/me')).status, 200)
  })

  test('a wrong password and an unknown name are refused alike', async () => {
    const texts = []
    for (const username of ['ada', 'nobody-of-that-name']) {
      const visitor = newVisitor(signet.issuer)
      const page = await walk(visitor, await visitor.open(authorizeUrl(signet, client).url), { username, password: 'not the password' })
      assert.equal(page.left, undefined)
      assert.ok(page.status === 400 || page.status === 200, String(page.status))
      assert.equal((await visitor.request('/api/v1/me')).status, 401)
      texts.push(page.text.replaceAll(username, ''))
    }
    assert.equal(texts[0], texts[1])
  })

  test('the e-mail address serves as name', async () => {
    const { code } = await signIn(signet, client, { ...ada, username: 'Ada@Example.com' })
    assert.ok(code)
  })

  test('a person who is not active can not sign in, and their sessions are over', async () => {
    const { body } = await signet.api<{ id: string }>('POST', '/api/v1/users', { username: 'gone', email: 'gone@example.com' })
    await signet.api('POST', `/api/v1/users/${body.id}/password`, { password: 'for a while only' })
    const { visitor } = await signIn(signet, client, { username: 'gone', password: 'for a while only' })
    const { status, text } = await signet.api('PATCH', `/api/v1/users/${body.id}`, { active: false })
    assert.equal(status, 200, text)
    assert.equal((await visitor.request('/api/v1/me')).status, 401)
    await assert.rejects(signIn(signet, client, { username: 'gone', password: 'for a while only' }))
  })

  test('a redirect_uri that is not registered is never redirected to', async () => {
    for (const wrong of [
      `${redirectUri}/`,
      `${redirectUri}?x=1`,
      'https://client.example/callback/..',
      'https://CLIENT.example/callback',
      'https://evil.example/',
    ]) {
      const page = await newVisitor(signet.issuer).open(authorizeUrl(signet, client, { redirect_uri: wrong }).url)
      assert.equal(page.left, undefined, wrong)
      assert.equal(page.status, 400, wrong)
    }
  })

  test('a request without PKCE is refused, since the policy enforces it', async () => {
    const url = new URL(authorizeUrl(signet, client).url)
    for (const name of ['code_challenge', 'code_challenge_method']) url.searchParams.delete(name)
    const page = await newVisitor(signet.issuer).open(url.href)
    assert.equal(page.left?.searchParams.get('error'), 'invalid_request')
  })

  test('a request by POST is redirected to the same request by GET', async () => {
    const url = new URL(authorizeUrl(signet, client).url)
    const response = await fetch(`${signet.issuer}/oauth2/authorize`, {
      method: 'POST',
      body: new URLSearchParams(url.searchParams),
      redirect: 'manual',
      headers: { origin: 'https://client.example', 'sec-fetch-site': 'cross-site' },
    })
    assert.ok([302, 303].includes(response.status), String(response.status))
    const target = new URL(response.headers.get('location') ?? '', signet.issuer)
    assert.equal(target.pathname, '/oauth2/authorize')
    assert.deepEqual(Object.fromEntries(target.searchParams), Object.fromEntries(url.searchParams))
  })

  test('pages speak German to who reads German, and fit into 30 kB', async () => {
    const german = await newVisitor(signet.issuer, { acceptLanguage: 'de-AT, en;q=0.5' }).open(authorizeUrl(signet, client).url)
    assert.match(german.html, /<html[^>]* lang="de/)
    const chosen = await newVisitor(signet.issuer, { acceptLanguage: 'de' }).open(authorizeUrl(signet, client, { ui_locales: 'en' }).url)
    assert.match(chosen.html, /<html[^>]* lang="en/)
    assert.ok(Buffer.byteLength(german.html) < 30_000)
    const policy = german.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /script-src[^;]*unsafe/)
    assert.doesNotMatch(german.html, /<script(?![^>]*\bsrc=)[^>]*>/i)
  })

  test('an answer from another origin is refused', async () => {
    const visitor = newVisitor(signet.issuer)
    const page = await visitor.open(authorizeUrl(signet, client).url)
    const form = page.forms[0]
    const response = await visitor.request(form?.action ?? '', {
      method: 'POST',
      body: new URLSearchParams({ ...form?.fields, ...ada }),
      headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    })
    assert.equal(response.status, 403)
    const foreign = await newVisitor(signet.issuer).request(form?.action ?? '', {
      method: 'POST',
      body: new URLSearchParams({ ...form?.fields, ...ada }),
      headers: { origin: signet.issuer },
    })
    assert.equal(foreign.status, 409, 'an attempt belongs to the browser that began it')
  })
})
