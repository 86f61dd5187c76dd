import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import {
  authorize,
  basic,
  claimsOf,
  clientManifest,
  exchange,
  introspect,
  post,
  redirectUri,
  request,
  token,
  userinfo,
} from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

const policy = (name: string, spec: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: ${name}, namespace: default, labels: { signet.dev/auth-server: default } }
spec:
${spec}
`

describe('the token endpoint', () => {
  let test: TestIssuer
  let ann: Awaited<ReturnType<TestIssuer['signIn']>>

  before(async () => {
    test = await startIssuer()
    ann = await test.signIn('ann', { email: 'ann@example.com' })
    await test.apply(
      policy(
        'default',
        '  allowedGrantTypes: [authorization_code, refresh_token, client_credentials, device_code, token_exchange, implicit]',
      ),
    )
  })
  after(() => test.close())

  it('client_credentials: a JWT for the client itself, with its first resource as audience', async () => {
    await test.apply(
      clientManifest('service', `  grantTypes: [client_credentials]\n  resources: ['https://api.example/']`, 'read, write').replace(
        / {2}redirectUris.*\n/,
        '',
      ),
    )
    const client = await test.credentials('service')
    const { status, body } = await token(test, client, { grant_type: 'client_credentials', scope: 'read' })
    assert.equal(status, 200)
    const claims = claimsOf(body.access_token)
    assert.deepEqual(
      [claims.sub, claims.client_id, claims.aud, claims.scope],
      [client.client_id, client.client_id, 'https://api.example/', 'read'],
    )
    const found = (await introspect(test, client, body.access_token)).body
    assert.deepEqual([found.active, found.client_id, found.aud, found.scope], [true, client.client_id, 'https://api.example/', 'read'])
    await post(`${test.issuer}/oauth2/revoke`, { token: String(body.access_token) }, basic(client))
    assert.equal((await introspect(test, client, body.access_token)).body.active, false)
    assert.deepEqual(
      (await token(test, client, { grant_type: 'client_credentials', resource: 'https://other.example/' })).body.error,
      'invalid_target',
    )
    assert.deepEqual((await token(test, client, { grant_type: 'client_credentials', scope: 'openid' })).body.error, 'invalid_scope')
  })

  it('a wrong secret, an unknown client and a wrong method are invalid_client', async () => {
    await test.apply(clientManifest('app'))
    const client = await test.credentials('app')
    const wrong = { ...client, client_secret: `${client.client_secret}x` }
    const unknown = { client_id: 'default.nobody', client_secret: 'x' }
    for (const one of [wrong, unknown]) {
      const { status, body } = await token(test, one, { grant_type: 'client_credentials' })
      assert.deepEqual([status, body.error], [401, 'invalid_client'])
    }
    const none = await post(`${test.issuer}/oauth2/token`, { grant_type: 'client_credentials', client_id: client.client_id })
    assert.deepEqual([none.status, none.body.error], [401, 'invalid_client'])
    const byPost = await post(`${test.issuer}/oauth2/token`, { grant_type: 'client_credentials', ...client })
    assert.equal(byPost.status, 200)
  })

  it('private_key_jwt: an assertion is taken once', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] })
    await test.apply(clientManifest('keyed', `  tokenEndpointAuthMethod: private_key_jwt\n  jwks: ${jwk}`))
    const client_assertion = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer('default.keyed')
      .setSubject('default.keyed')
      .setAudience(test.issuer)
      .setJti('once')
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey)
    const body = {
      grant_type: 'client_credentials',
      client_assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    }
    const answers = await Promise.all(Array.from({ length: 5 }, () => post(`${test.issuer}/oauth2/token`, body)))
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401, 401])
  })

  it('keys that a client does not serve are asked for once, however many requests want them', async () => {
    let asked = 0
    const application = createServer((_request, response) => {
      asked += 1
      response.writeHead(500).end()
    })
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    const { port } = application.address() as AddressInfo
    try {
      await test.apply(
        clientManifest('away', `  tokenEndpointAuthMethod: private_key_jwt\n  jwksUri: http://127.0.0.1:${port}/keys`, 'read').replace(
          / {2}redirectUris.*\n/,
          '  grantTypes: [client_credentials]\n',
        ),
      )
      const { privateKey } = await generateKeyPair('ES256')
      for (let request = 0; request < 5; request += 1) {
        const client_assertion = await new SignJWT({ iss: 'default.away', sub: 'default.away', aud: test.issuer, jti: `${request}` })
          .setProtectedHeader({ alg: 'ES256' })
          .setIssuedAt()
          .setExpirationTime('1m')
          .sign(privateKey)
        const { status, body } = await post(`${test.issuer}/oauth2/token`, {
          grant_type: 'client_credentials',
          client_assertion,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        })
        assert.ok(status >= 400 && status < 500, `${status} ${body.error}`)
      }
      assert.equal(asked, 1)
    } finally {
      application.close()
    }
  })

  it('a policy that becomes stricter holds for the next token, and a client outside it is refused', async () => {
    await test.apply(clientManifest('short', '  grantTypes: [authorization_code, refresh_token]'))
    const client = await test.credentials('short')
    const first = await exchange(test, client, await authorize(test, client, ann.cookie))
    assert.equal(first.body.expires_in, 600)
    await test.apply(policy('shorter', '  token: { accessTokenTTL: 90s }\n  clientSelector: {}'))
    const second = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(first.body.refresh_token) })
    assert.equal(second.body.expires_in, 90)
    await test.apply(policy('narrow', '  allowedGrantTypes: [client_credentials]\n  clientSelector: {}'))
    const third = await token(test, client, { grant_type: 'refresh_token', refresh_token: String(second.body.refresh_token) })
    assert.deepEqual([third.status, third.body.error], [401, 'invalid_client'])
    for (const name of ['shorter', 'narrow']) await test.remove('AuthPolicy', name)
  })

  it('PKCE is demanded, and a scope outside the client is invalid_scope', async () => {
    await test.apply(clientManifest('strict', '', 'openid'))
    const client = await test.credentials('strict')
    const withoutPkce = await request(test, client, ann.cookie, { scope: 'openid' })
    assert.equal(new URL(withoutPkce.headers.get('location') ?? '').searchParams.get('error'), 'invalid_request')
    const scope = await request(test, client, ann.cookie, {
      scope: 'openid email',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    })
    assert.equal(new URL(scope.headers.get('location') ?? '').searchParams.get('error'), 'invalid_scope')
    const plain = await request(test, client, ann.cookie, {
      scope: 'openid',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'plain',
    })
    assert.equal(new URL(plain.headers.get('location') ?? '').searchParams.get('error'), 'invalid_request')
  })

  it('redirect_uri is compared exactly, and a wrong one is never redirected to', async () => {
    await test.apply(clientManifest('exact'))
    const client = await test.credentials('exact')
    for (const redirect_uri of [
      `${redirectUri}/`,
      `${redirectUri}?a=b`,
      'https://client.example/Callback',
      'https://evil.example/callback',
      'javascript:alert(1)',
    ]) {
      const answer = await request(test, client, ann.cookie, { redirect_uri })
      assert.deepEqual([answer.status, answer.headers.get('location')], [400, null], redirect_uri)
    }
  })

  it('PAR: a pushed request is used once', async () => {
    await test.apply(clientManifest('pushing', '  requirePushedAuthorizationRequests: true'))
    const client = await test.credentials('pushing')
    const direct = await request(test, client, ann.cookie, { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' })
    assert.equal(new URL(direct.headers.get('location') ?? '').searchParams.get('error'), 'invalid_request')
    const pushed = await post(
      `${test.issuer}/oauth2/par`,
      {
        client_id: client.client_id,
        response_type: 'code',
        redirect_uri: redirectUri,
        scope: 'openid',
        code_challenge: 'x'.repeat(43),
        code_challenge_method: 'S256',
      },
      basic(client),
    )
    assert.equal(pushed.status, 201)
    const url = `${test.issuer}/oauth2/authorize?${new URLSearchParams({ client_id: client.client_id, request_uri: String(pushed.body.request_uri) })}`
    const open = () => fetch(url, { redirect: 'manual', headers: { cookie: ann.cookie } })
    const answers = await Promise.all([open(), open(), open()])
    const codes = answers.filter(
      (answer) =>
        URL.canParse(answer.headers.get('location') ?? '') && new URL(answer.headers.get('location') ?? '').searchParams.has('code'),
    )
    assert.equal(codes.length, 1)
  })

  it('DPoP: a token is bound to the key, a proof is taken once, and the token is worth nothing without it', async () => {
    await test.apply(clientManifest('bound', '  dpopBoundAccessTokens: true'))
    const client = await test.credentials('bound')
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    const proof = (htm: string, path: string, claims: Record<string, unknown> = {}) =>
      new SignJWT({ htm, htu: `${test.issuer}${path}`, jti: crypto.randomUUID(), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .setIssuedAt()
        .sign(privateKey)
    const authorized = await authorize(test, client, ann.cookie)
    assert.equal((await exchange(test, client, authorized)).body.error, 'invalid_grant')
    const dpop = await proof('POST', '/oauth2/token')
    const again = await authorize(test, client, ann.cookie)
    const answer = await post(
      `${test.issuer}/oauth2/token`,
      { grant_type: 'authorization_code', code: again.code, redirect_uri: redirectUri, code_verifier: again.verifier },
      { ...basic(client), dpop },
    )
    assert.deepEqual([answer.status, answer.body.token_type], [200, 'DPoP'])
    // RFC 9449 section 5: of a proof that is replayed or of another request, whatever the grant.
    const refused = [
      dpop,
      await proof('GET', '/oauth2/token'),
      await proof('POST', '/oauth2/userinfo'),
      await proof('POST', '/oauth2/token', { jti: '' }),
    ]
    for (const bad of refused)
      for (const grant of [
        { grant_type: 'client_credentials' },
        { grant_type: 'refresh_token', refresh_token: String(answer.body.refresh_token) },
      ]) {
        const { status, body } = await post(`${test.issuer}/oauth2/token`, grant, { ...basic(client), dpop: bad })
        assert.deepEqual([status, body.error], [400, 'invalid_dpop_proof'], `${grant.grant_type} ${body.error_description}`)
      }
    assert.deepEqual(claimsOf(answer.body.access_token).cnf, { jkt: await calculateJwkThumbprint(jwk) })
    assert.equal((await userinfo(test, answer.body.access_token)).status, 401)
    const ath = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(String(answer.body.access_token)))).toString('base64url')
    const info = { authorization: `DPoP ${answer.body.access_token}`, dpop: await proof('GET', '/oauth2/userinfo', { ath }) }
    assert.equal((await fetch(`${test.issuer}/oauth2/userinfo`, { headers: info })).status, 200)
    assert.equal((await fetch(`${test.issuer}/oauth2/userinfo`, { headers: info })).status, 401)
  })

  it('JARM: the response is a JWT for the client', async () => {
    await test.apply(clientManifest('jarm'))
    const client = await test.credentials('jarm')
    const answer = await request(test, client, ann.cookie, {
      response_mode: 'jwt',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    })
    const response = claimsOf(new URL(answer.headers.get('location') ?? '').searchParams.get('response') ?? '')
    assert.deepEqual([response.iss, response.aud, response.state, typeof response.code], [test.issuer, client.client_id, 'state', 'string'])
  })

  it('hybrid and implicit answers come where the policy lets them, and carry a token that works', async () => {
    await test.apply(
      clientManifest(
        'hybrid',
        `  grantTypes: [authorization_code, implicit]\n  responseTypes: ['code id_token token', 'id_token token', code]`,
      ),
    )
    const client = await test.credentials('hybrid')
    const answer = await request(test, client, ann.cookie, { response_type: 'id_token token', nonce: 'n' })
    const fragment = new URLSearchParams(new URL(answer.headers.get('location') ?? '').hash.slice(1))
    assert.equal((await userinfo(test, fragment.get('access_token') ?? '')).body.sub, ann.user_id)
    assert.equal(claimsOf(fragment.get('id_token') ?? '').nonce, 'n')
    const post = await request(test, client, ann.cookie, {
      response_type: 'code id_token token',
      response_mode: 'form_post',
      nonce: 'n',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    })
    assert.equal(post.status, 200)
    assert.match(await post.text(), /name="code" value="[^"]+"/)
  })

  it('token exchange: for a resource of the client, never with more scope, and it ends with the token it came from', async () => {
    await test.apply(clientManifest('front', `  resources: ['https://middle.example/']`, 'openid, email, orders'))
    await test.apply(
      clientManifest(
        'middle',
        `  ownResources: ['https://middle.example/']\n  resources: ['https://back.example/']\n  grantTypes: [token_exchange, client_credentials]`,
        'orders, admin',
      ),
    )
    await test.apply(clientManifest('caller', `  resources: ['https://middle.example/']\n  grantTypes: [token_exchange]`, 'orders'))
    const front = await test.credentials('front')
    const middle = await test.credentials('middle')
    const authorized = await authorize(test, front, ann.cookie, { scope: 'openid orders', resource: 'https://middle.example/' })
    const first = await token(test, front, {
      grant_type: 'authorization_code',
      code: authorized.code,
      redirect_uri: redirectUri,
      code_verifier: authorized.verifier,
      resource: 'https://middle.example/',
    })
    assert.equal(first.status, 200, JSON.stringify(first.body))
    assert.equal(claimsOf(first.body.access_token).aud, 'https://middle.example/')
    assert.equal((await userinfo(test, first.body.access_token)).status, 403)
    const exchangeWith = (more: Record<string, string>) =>
      token(test, middle, {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: String(first.body.access_token),
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        ...more,
      })
    const second = await exchangeWith({ resource: 'https://back.example/' })
    assert.equal(second.status, 200, JSON.stringify(second.body))
    const claims = claimsOf(second.body.access_token)
    assert.deepEqual(
      [claims.sub, claims.aud, claims.client_id, claims.scope],
      [ann.user_id, 'https://back.example/', middle.client_id, 'orders'],
    )
    assert.equal((await exchangeWith({ scope: 'admin' })).body.error, 'invalid_scope')
    assert.equal((await exchangeWith({ resource: 'https://elsewhere.example/' })).body.error, 'invalid_target')
    assert.equal((await exchangeWith({ subject_token: 'nonsense' })).body.error, 'invalid_request')
    // That a client may call what the token is for does not make the token its own.
    const caller = await token(test, await test.credentials('caller'), {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: String(first.body.access_token),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    })
    assert.equal(caller.body.error, 'invalid_request')
    assert.equal((await introspect(test, middle, second.body.access_token)).body.active, true)
    await post(`${test.issuer}/oauth2/revoke`, { token: String(first.body.refresh_token) }, basic(front))
    assert.equal((await introspect(test, middle, second.body.access_token)).body.active, false)
  })

  it('a client wants algorithms that its AuthServer keeps keys for', async () => {
    const server = (algorithms: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: { name: narrow, namespace: default }
spec: { issuerUrl: '${test.issuer}/narrow', policySelector: { matchLabels: { signet.dev/auth-server: default } }, signingAlgorithms: [${algorithms}] }
`
    const narrow = clientManifest('narrow', '  idTokenSignedResponseAlg: EdDSA').replace('{ name: default }', '{ name: narrow }')
    await test.apply(server('ES256, RS256'))
    await assert.rejects(test.apply(narrow), /idTokenSignedResponseAlg.*EdDSA/)
    await test.apply(server('ES256, EdDSA'))
    await test.apply(narrow)
    await test.apply(server('ES256'))
    const offered = (await (await fetch(`${test.issuer}/narrow/.well-known/openid-configuration`)).json()) as Record<string, unknown>
    assert.deepEqual(offered.id_token_signing_alg_values_supported, ['ES256'])
    // RFC 8414 section 3.1.
    for (const path of ['/narrow/.well-known/oauth-authorization-server', '/.well-known/oauth-authorization-server/narrow'])
      assert.deepEqual(await (await fetch(`${test.issuer}${path}`)).json(), offered)
    const answer = await token({ issuer: `${test.issuer}/narrow` }, await test.credentials('narrow'), { grant_type: 'client_credentials' })
    assert.deepEqual([answer.status, answer.body.error], [401, 'invalid_client'])
  })

  it('pairwise subjects differ from sector to sector and stay the same within one', async () => {
    await test.apply(clientManifest('pair-a', '  subjectType: pairwise'))
    await test.apply(clientManifest('pair-b', '  subjectType: pairwise').replaceAll(redirectUri, 'https://other.example/callback'))
    const a = await test.credentials('pair-a')
    const tokens = await exchange(test, a, await authorize(test, a, ann.cookie))
    const sub = claimsOf(tokens.body.id_token).sub
    assert.notEqual(sub, ann.user_id)
    assert.equal(claimsOf(tokens.body.access_token).sub, sub)
    assert.equal((await userinfo(test, tokens.body.access_token)).body.sub, sub)
    assert.equal((await introspect(test, a, tokens.body.access_token)).body.sub, sub)
  })
})
