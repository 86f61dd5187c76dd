/** What happens between a person, an application and us beyond the plain sign-in: devices, sign-outs, consents, declining. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { newVisitor, type Visitor, walk } from '../support/http.ts'
import {
  authorizeUrl,
  basic,
  type ClientCredentials,
  exchange,
  introspect,
  makeClient,
  post,
  refresh,
  signIn,
  token,
} from '../support/oauth.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

describe('OpenID for people', () => {
  let signet: Signet
  let client: ClientCredentials
  let application: Server
  const notices: string[] = []
  let applicationUrl = ''

  before(async () => {
    signet = await startSignet()
    application = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        notices.push(body)
        response.writeHead(200).end()
      })
    })
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    applicationUrl = `http://127.0.0.1:${(application.address() as AddressInfo).port}`
    client = await makeClient(
      signet,
      'shop',
      `  backchannelLogoutUri: ${applicationUrl}/logout\n  backchannelLogoutSessionRequired: true\n  postLogoutRedirectUris: [https://client.example/bye]`,
    )
  })
  after(async () => {
    application.close()
    await signet.stop()
  })

  const noticed = async (sid: unknown) => {
    const keys = createRemoteJWKSet(new URL(`${signet.issuer}/oauth2/jwks`))
    const found = await until(
      async () => {
        for (const notice of notices) {
          const { payload, protectedHeader } = await jwtVerify(new URLSearchParams(notice).get('logout_token') ?? '', keys, {
            issuer: signet.issuer,
            audience: client.client_id,
          })
          if (payload.sid === sid) return { payload, protectedHeader }
        }
        return undefined
      },
      { explain: () => `no notice for ${sid}\n${signet.logs().slice(-2_000)}` },
    )
    assert.equal(found.protectedHeader.typ, 'logout+jwt')
    assert.deepEqual(found.payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} })
    assert.equal(found.payload.nonce, undefined)
  }

  const claims = (jwt: string | undefined) => JSON.parse(Buffer.from((jwt ?? '').split('.')[1] ?? '', 'base64url').toString())

  it('signing out by the application ends the session, tells the application, and ends tokens but those for offline access', async () => {
    const online = await signIn(signet, client, { parameters: { scope: 'openid', prompt: 'consent' } })
    const tokens = await exchange(signet, client, online)
    const other = await makeClient(signet, 'desk')
    const offline = await exchange(signet, other, await signIn(signet, other, { visitor: online.visitor }))
    const { sid } = claims(tokens.body.id_token)
    assert.equal(typeof sid, 'string')
    const left = await online.visitor.open(
      `${signet.issuer}/oauth2/end-session?${new URLSearchParams({ id_token_hint: String(tokens.body.id_token), post_logout_redirect_uri: 'https://client.example/bye', state: 's 1' })}`,
    )
    assert.equal(left.left?.href, 'https://client.example/bye?state=s+1')
    await noticed(sid)
    assert.equal((await introspect(signet, client, tokens.body.access_token)).body.active, false)
    assert.equal((await refresh(signet, client, tokens.body.refresh_token)).status, 400)
    assert.equal((await refresh(signet, other, offline.body.refresh_token)).status, 200)
    const again = await online.visitor.open(authorizeUrl(signet, client, { prompt: 'none' }).url)
    assert.equal(again.left?.searchParams.get('error'), 'login_required')
  })

  it('a session that an administrator ends is told to the application too', async () => {
    const signedIn = await signIn(signet, client)
    const { body } = await exchange(signet, client, signedIn)
    await signet.database.db.run({ name: 'end', text: 'delete from sessions where user_id = $1', values: [claims(body.id_token).sub] })
    await noticed(claims(body.id_token).sid)
  })

  it('what a person agreed to once is remembered in another browser, until they take it back', async () => {
    const tell = await makeClient(signet, 'remembered')
    await signIn(signet, tell, { parameters: { scope: 'openid email' } })
    const second = newVisitor(signet.issuer)
    const page = await walk(second, await second.open(authorizeUrl(signet, tell, { scope: 'openid email' }).url), {
      username: 'admin',
      password: signet.password,
    })
    assert.ok(page.left?.searchParams.get('code'))
    const silent = await second.open(authorizeUrl(signet, tell, { scope: 'openid email', prompt: 'none' }).url)
    assert.ok(silent.left?.searchParams.get('code'))
    const more = await second.open(authorizeUrl(signet, tell, { scope: 'openid email profile', prompt: 'none' }).url)
    assert.equal(more.left?.searchParams.get('error'), 'consent_required')
    await signet.database.db.run({
      name: 'take-back',
      text: 'with c as (delete from consents where client_id = $1 returning 1) delete from grants where client_id = $1',
      values: [tell.client_id],
    })
    const gone = await second.open(authorizeUrl(signet, tell, { scope: 'openid email', prompt: 'none' }).url)
    assert.equal(gone.left?.searchParams.get('error'), 'consent_required')
  })

  it('agreeing in two windows of one browser leaves what the first one got', async () => {
    const wiki = await makeClient(signet, 'wiki')
    const { visitor } = await signIn(signet, client)
    const requests = [authorizeUrl(signet, wiki, { scope: 'openid email' }), authorizeUrl(signet, wiki, { scope: 'openid profile' })]
    const pages = []
    for (const { url } of requests) pages.push(await visitor.open(url))
    const got = []
    for (const [index, page] of pages.entries()) {
      const code = (await walk(visitor, page, {})).left?.searchParams.get('code') ?? ''
      const { status, body } = await exchange(signet, wiki, { code, verifier: requests[index]?.verifier ?? '' })
      assert.equal(status, 200)
      got.push(body)
    }
    for (const { access_token } of got) assert.equal((await introspect(signet, wiki, access_token)).body.active, true)
    assert.equal((await refresh(signet, wiki, got[0]?.refresh_token)).body.scope, 'openid email')
  })

  it('declining to sign in or to agree is access_denied to the application', async () => {
    const visitor = newVisitor(signet.issuer)
    const page = await visitor.open(authorizeUrl(signet, client, { prompt: 'login' }).url)
    const declined = await visitor.submit(page, {}, 1)
    assert.equal(declined.left?.searchParams.get('error'), 'access_denied')
    const signedIn = await signIn(signet, client)
    const consent = await signedIn.visitor.open(authorizeUrl(signet, client, { prompt: 'consent' }).url)
    const refused = await signedIn.visitor.submit(consent, {}, 1)
    assert.equal(refused.left?.searchParams.get('error'), 'access_denied')
  })

  const device = async (visitor: Visitor, user_code: string, press: Record<string, string>) => {
    let page = await visitor.open(`${signet.issuer}/oauth2/device`)
    page = await visitor.submit(page, { user_code })
    page = await visitor.submit(page, press)
    return await walk(visitor, page, { username: 'admin', password: signet.password })
  }
  const start = () => post(`${signet.issuer}/oauth2/device`, { scope: 'openid email' }, basic(client))
  const poll = (device_code: unknown) =>
    token(signet, client, { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: String(device_code) })

  it('a device gets tokens when a person enters its code, once', async () => {
    const begun = await start()
    assert.equal(begun.status, 200, JSON.stringify(begun.body))
    assert.equal((await poll(begun.body.device_code)).body.error, 'authorization_pending')
    const page = await device(newVisitor(signet.issuer), String(begun.body.user_code), { confirm: 'yes' })
    assert.equal(page.status, 200, page.text)
    const answers = await Promise.all(Array.from({ length: 10 }, () => poll(begun.body.device_code)))
    const won = answers.filter(({ status }) => status === 200)
    assert.equal(won.length, 1)
    assert.equal(claims(won[0]?.body.id_token).aud, client.client_id)
  })

  it('a device is told when the person declines', async () => {
    const begun = await start()
    await device(newVisitor(signet.issuer), String(begun.body.user_code), { confirm: 'yes', abort: 'yes' })
    assert.equal((await poll(begun.body.device_code)).body.error, 'access_denied')
  })

  it('a device that asks too often is told to slow down, and gets its tokens all the same', async () => {
    const begun = await start()
    assert.equal((await poll(begun.body.device_code)).body.error, 'authorization_pending')
    assert.equal((await poll(begun.body.device_code)).body.error, 'slow_down')
    await device(newVisitor(signet.issuer), String(begun.body.user_code), { confirm: 'yes' })
    assert.equal((await poll(begun.body.device_code)).status, 200)
  })

  it('a code nobody gave out is asked for again', async () => {
    const visitor = newVisitor(signet.issuer)
    const page = await visitor.submit(await visitor.open(`${signet.issuer}/oauth2/device`), { user_code: 'BCDF-GHJK' })
    assert.ok(page.forms[0]?.names.includes('user_code'), page.text)
  })

  it('whoever guesses at device codes is stopped after fifty, whether the next one would be right or not', async () => {
    const visitor = newVisitor(signet.issuer)
    let page = await visitor.open(`${signet.issuer}/oauth2/device`)
    for (let guess = 0; page.status === 200 && guess < 60; guess += 1)
      page = await visitor.submit(page, { user_code: `BCDF-${'BCDFGHJKLM'.charAt(guess / 10)}${'BCDFGHJKLM'.charAt(guess % 10)}ZZ` })
    assert.equal(page.status, 429, page.text)
    assert.ok(Number(page.headers.get('retry-after')) > 600)
    const begun = await start()
    const right = await visitor.submit(page, { user_code: String(begun.body.user_code) })
    assert.equal(right.status, 429)
    assert.ok(right.forms[0]?.names.includes('user_code'), right.text)
  })

  it('an acr that a sign-in does not reach is unmet_authentication_requirements, and not asked for without end', async () => {
    for (const acr of [
      { essential: true, value: 'urn:example:gold' },
      { essential: true, values: ['phr', '2fa'] },
    ]) {
      const visitor = newVisitor(signet.issuer)
      const started = authorizeUrl(signet, client, { claims: JSON.stringify({ id_token: { acr } }) })
      const page = await walk(visitor, await visitor.open(started.url), { username: 'admin', password: signet.password })
      assert.equal(page.left?.searchParams.get('error'), 'unmet_authentication_requirements', JSON.stringify(acr))
    }
    const reached = await signIn(signet, client, {
      parameters: { claims: JSON.stringify({ id_token: { acr: { essential: true, values: ['urn:example:gold', '1fa'] } } }) },
    })
    assert.equal(claims((await exchange(signet, client, reached)).body.id_token).acr, '1fa')
  })
})
