import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { newVisitor } from '../support/http.ts'
import {
  authorizeUrl,
  basic,
  type ClientCredentials,
  claimsOf,
  exchange,
  introspect,
  makeClient,
  post,
  refresh,
  signIn,
  token,
} from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

describe('tokens', () => {
  let signet: Signet
  let client: ClientCredentials
  let other: ClientCredentials
  before(async () => {
    signet = await startSignet()
    client = await makeClient(signet, 'shop')
    other = await makeClient(signet, 'other')
  })
  after(() => signet.stop())

  const userinfo = (access_token = '') =>
    fetch(`${signet.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${access_token}` } })

  test('a refresh token is rotated, and its second use takes the whole family', async () => {
    const first = await exchange(signet, client, await signIn(signet, client))
    assert.equal(first.status, 200, JSON.stringify(first.body))
    const second = await refresh(signet, client, first.body.refresh_token)
    assert.equal(second.status, 200, JSON.stringify(second.body))
    assert.notEqual(second.body.refresh_token, first.body.refresh_token)
    assert.equal(second.body.scope, first.body.scope)

    const reused = await refresh(signet, client, first.body.refresh_token)
    assert.deepEqual([reused.status, reused.body.error], [400, 'invalid_grant'])
    const descendant = await refresh(signet, client, second.body.refresh_token)
    assert.deepEqual([descendant.status, descendant.body.error], [400, 'invalid_grant'])
    assert.equal((await introspect(signet, client, second.body.access_token)).body.active, false)
  })

  test('a code is good for one exchange, and its second use revokes what the first one got', async () => {
    const signedIn = await signIn(signet, client)
    const first = await exchange(signet, client, signedIn)
    assert.equal(first.status, 200)
    const second = await exchange(signet, client, signedIn)
    assert.deepEqual([second.status, second.body.error], [400, 'invalid_grant'])
    const after = await refresh(signet, client, first.body.refresh_token)
    assert.deepEqual([after.status, after.body.error], [400, 'invalid_grant'])
  })

  test('of twenty exchanges of one code at once exactly one succeeds', async () => {
    const signedIn = await signIn(signet, client)
    const answers = await Promise.all(Array.from({ length: 20 }, () => exchange(signet, client, signedIn)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.ok(answers.every(({ status, body }) => status === 200 || body.error === 'invalid_grant'))
  })

  test('of twenty refreshes of one token at once exactly one succeeds', async () => {
    const { body } = await exchange(signet, client, await signIn(signet, client))
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(signet, client, body.refresh_token)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.ok(answers.every(({ status, body }) => status === 200 || body.error === 'invalid_grant'))
  })

  test('a code wants its own client, its redirect_uri and its verifier', async () => {
    const signedIn = await signIn(signet, client)
    const wrong = await exchange(signet, client, { ...signedIn, verifier: 'x'.repeat(43) })
    assert.deepEqual([wrong.status, wrong.body.error], [400, 'invalid_grant'])
    const another = await signIn(signet, client)
    const foreign = await exchange(signet, other, another)
    assert.deepEqual([foreign.status, foreign.body.error], [400, 'invalid_grant'])
    const third = await signIn(signet, client)
    const elsewhere = await token(signet, client, {
      grant_type: 'authorization_code',
      code: third.code,
      code_verifier: third.verifier,
      redirect_uri: 'https://client.example/other',
    })
    assert.deepEqual([elsewhere.status, elsewhere.body.error], [400, 'invalid_grant'])
  })

  test('client credentials give a JWT of RFC 9068, introspected and revoked', async () => {
    const { status, body } = await token(signet, client, { grant_type: 'client_credentials' })
    assert.equal(status, 200, JSON.stringify(body))
    const keys = createRemoteJWKSet(new URL(`${signet.issuer}/oauth2/jwks`))
    const { payload, protectedHeader } = await jwtVerify(body.access_token ?? '', keys, { issuer: signet.issuer, typ: 'at+jwt' })
    assert.equal(protectedHeader.alg, 'ES256')
    assert.equal(payload.client_id, client.client_id)
    for (const claim of ['exp', 'iat', 'jti', 'aud', 'sub']) assert.ok(payload[claim], claim)

    const active = await introspect(signet, client, body.access_token)
    assert.equal(active.body.active, true)
    assert.equal(active.body.client_id, client.client_id)
    const revoked = await post(`${signet.issuer}/oauth2/revoke`, { token: body.access_token ?? '' }, basic(client))
    assert.equal(revoked.status, 200)
    assert.deepEqual((await introspect(signet, client, body.access_token)).body, { active: false })
  })

  test('opaque tokens where the client asks for them', async () => {
    const opaque = await makeClient(signet, 'opaque', '  accessTokenFormat: opaque')
    const { body } = await token(signet, opaque, { grant_type: 'client_credentials' })
    assert.doesNotMatch(body.access_token ?? '', /\./)
    assert.equal((await introspect(signet, opaque, body.access_token)).body.active, true)
    await post(`${signet.issuer}/oauth2/revoke`, { token: body.access_token ?? '' }, basic(opaque))
    assert.equal((await introspect(signet, opaque, body.access_token)).body.active, false)
  })

  test('revoking a refresh token ends it, and one client can not revoke or see what is another’s', async () => {
    const { body } = await exchange(signet, client, await signIn(signet, client))
    await post(`${signet.issuer}/oauth2/revoke`, { token: body.refresh_token ?? '' }, basic(other))
    const still = await refresh(signet, client, body.refresh_token)
    assert.equal(still.status, 200, 'the other client’s revocation has no effect')
    await post(`${signet.issuer}/oauth2/revoke`, { token: still.body.refresh_token ?? '' }, basic(client))
    const gone = await refresh(signet, client, still.body.refresh_token)
    assert.deepEqual([gone.status, gone.body.error], [400, 'invalid_grant'])
    assert.equal((await userinfo(still.body.access_token)).status, 401)
  })

  test('an unknown token is inactive, a wrong secret is invalid_client', async () => {
    assert.deepEqual((await introspect(signet, client, 'x'.repeat(43))).body, { active: false })
    const refused = await post(`${signet.issuer}/oauth2/introspect`, { token: 'x' }, basic({ ...client, client_secret: 'wrong' }))
    assert.deepEqual([refused.status, refused.body.error], [401, 'invalid_client'])
  })

  test('token exchange hands a person’s token on to another client, narrower', async () => {
    await signet.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: default, namespace: default, labels: { signet.dev/auth-server: default } }
spec:
  enforcePKCE: true
  allowedGrantTypes: [authorization_code, refresh_token, client_credentials, 'urn:ietf:params:oauth:grant-type:device_code', 'urn:ietf:params:oauth:grant-type:token-exchange']
  allowedScopes: [openid, profile, email, groups, offline_access]
`)
    const gateway = await makeClient(
      signet,
      'gateway',
      "  grantTypes: [authorization_code, refresh_token, 'urn:ietf:params:oauth:grant-type:token-exchange']",
    )
    const { body } = await exchange(signet, gateway, await signIn(signet, gateway))
    const exchanged = await token(signet, gateway, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: body.access_token ?? '',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'profile',
    })
    assert.equal(exchanged.status, 200, JSON.stringify(exchanged.body))
    assert.equal(exchanged.body.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token')
    const before = claimsOf(body.access_token)
    const narrowed = claimsOf(exchanged.body.access_token)
    assert.equal(narrowed.sub, before.sub)
    assert.equal(narrowed.scope, 'profile')
    assert.ok(Number(narrowed.exp) <= Number(before.exp), 'it lives no longer than what it was made of')
    const wider = await token(signet, gateway, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: exchanged.body.access_token ?? '',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'profile groups',
    })
    assert.deepEqual([wider.status, wider.body.error], [400, 'invalid_scope'])
    const plain = await makeClient(signet, 'plain', '  grantTypes: [authorization_code, refresh_token]')
    const refused = await token(signet, plain, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: body.access_token ?? '',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    })
    assert.equal(refused.body.error, 'unauthorized_client')
  })

  test('a pushed request is taken once', async () => {
    const url = new URL(authorizeUrl(signet, client).url)
    const pushed = await post(`${signet.issuer}/oauth2/par`, Object.fromEntries(url.searchParams), basic(client))
    assert.equal(pushed.status, 201, JSON.stringify(pushed.body))
    assert.match(String(pushed.body.request_uri), /^urn:ietf:params:oauth:request_uri:/)
    const page = await newVisitor(signet.issuer).open(
      `${signet.issuer}/oauth2/authorize?${new URLSearchParams({ client_id: client.client_id, request_uri: String(pushed.body.request_uri) })}`,
    )
    assert.ok(page.forms[0]?.names.includes('username'), page.text)
  })

  test('what a person’s end takes with it: tokens of someone deleted are over', async () => {
    const { body: user } = await signet.api<{ id: string }>('POST', '/api/v1/users', { username: 'leaver' })
    await signet.api('POST', `/api/v1/users/${user.id}/password`, { password: 'leaving tomorrow' })
    const { body } = await exchange(signet, client, await signIn(signet, client, { username: 'leaver', password: 'leaving tomorrow' }))
    assert.equal((await userinfo(body.access_token)).status, 200)
    assert.equal((await signet.api('DELETE', `/api/v1/users/${user.id}`)).status, 204)
    assert.equal((await userinfo(body.access_token)).status, 401)
    const refreshed = await refresh(signet, client, body.refresh_token)
    assert.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant'])
  })
})
