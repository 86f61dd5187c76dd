/** `openid-client`, a certified client library: device grant, refresh, code with PKCE, all from discovery. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as client from 'openid-client'
import { newVisitor, walk } from '../support/http.ts'
import { type ClientCredentials, makeClient, redirectUri } from '../support/oauth.ts'
import { type Signet, startSignet } from '../support/signet.ts'

describe('openid-client', () => {
  let signet: Signet
  let credentials: ClientCredentials
  let config: client.Configuration
  before(async () => {
    signet = await startSignet()
    credentials = await makeClient(signet, 'television')
    config = await client.discovery(new URL(signet.issuer), credentials.client_id, credentials.client_secret, undefined, {
      execute: [client.allowInsecureRequests],
    })
  })
  after(() => signet.stop())

  const admin = () => ({ username: 'admin', password: signet.password })

  test('gets tokens by the device grant while the person signs in elsewhere, and refreshes them', async () => {
    const device = await client.initiateDeviceAuthorization(config, { scope: 'openid profile offline_access' })
    assert.ok(device.user_code && device.verification_uri.startsWith(signet.issuer))
    const polling = client.pollDeviceAuthorizationGrant(config, { ...device, interval: 1 })

    const visitor = newVisitor(signet.issuer)
    let page = await visitor.open(device.verification_uri_complete ?? device.verification_uri)
    for (let steps = 0; steps < 8 && page.forms[0]; steps++) {
      const answers: Record<string, string> = { ...admin(), user_code: device.user_code }
      const asked = page.forms[0].names.filter((name) => name in answers)
      page = await visitor.submit(page, Object.fromEntries(asked.map((name) => [name, answers[name] ?? ''])))
      assert.ok(page.status < 400, `${page.status} ${page.text}`)
    }
    const tokens = await polling
    assert.equal(tokens.claims()?.iss, signet.issuer)
    assert.ok(tokens.refresh_token)
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '')
    assert.equal(userinfo.preferred_username, 'admin')

    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
    assert.notEqual(refreshed.refresh_token, tokens.refresh_token)
    assert.notEqual(refreshed.access_token, tokens.access_token)
    await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token ?? ''), { error: 'invalid_grant' })
  })

  test('a device that the person refuses hears access_denied', async () => {
    const device = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
    const polling = client.pollDeviceAuthorizationGrant(config, { ...device, interval: 1 })
    const refused = assert.rejects(polling, { error: 'access_denied' })
    const visitor = newVisitor(signet.issuer)
    let page = await visitor.open(device.verification_uri_complete ?? device.verification_uri)
    // The page that names the device has a way to say no: a second button or a second form.
    for (let steps = 0; steps < 4 && !/abort|decline|deny/.test(JSON.stringify(page.forms)); steps++)
      page = await visitor.submit(page, { user_code: device.user_code })
    const no = page.forms.findIndex(
      ({ buttons, fields }) => buttons.some(({ name }) => /abort|decline|deny/.test(name)) || 'abort' in fields || 'decline' in fields,
    )
    const button = page.forms[no]?.buttons.find(({ name }) => /abort|decline|deny/.test(name))
    assert.ok(no >= 0, page.text)
    await visitor.submit(page, button ? { [button.name]: button.value } : {}, no)
    await refused
  })

  test('signs a person in by code with PKCE, checks everything itself, and revokes', async () => {
    const code_verifier = client.randomPKCECodeVerifier()
    const state = client.randomState()
    const nonce = client.randomNonce()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: 'openid email offline_access',
      prompt: 'consent',
      code_challenge: await client.calculatePKCECodeChallenge(code_verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    })
    const visitor = newVisitor(signet.issuer)
    const page = await walk(visitor, await visitor.open(url.href), admin())
    assert.ok(page.left, page.text)
    const tokens = await client.authorizationCodeGrant(config, page.left, {
      pkceCodeVerifier: code_verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    })
    const introspected = await client.tokenIntrospection(config, tokens.access_token)
    assert.equal(introspected.active, true)
    await client.tokenRevocation(config, tokens.refresh_token ?? '')
    await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token ?? ''), { error: 'invalid_grant' })
  })

  test('proves possession with DPoP, and a token bound so is worth nothing without its key', async () => {
    const bound = await makeClient(signet, 'bound', '  dpopBoundAccessTokens: true')
    const boundConfig = await client.discovery(new URL(signet.issuer), bound.client_id, bound.client_secret, undefined, {
      execute: [client.allowInsecureRequests],
    })
    const DPoP = client.getDPoPHandle(boundConfig, await client.randomDPoPKeyPair('ES256'))
    const tokens = await client.clientCredentialsGrant(boundConfig, {}, { DPoP })
    assert.equal(tokens.token_type, 'dpop')
    await assert.rejects(client.clientCredentialsGrant(boundConfig, {}))
    const stolen = await fetch(`${signet.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
    assert.equal(stolen.status, 401)
  })
})
