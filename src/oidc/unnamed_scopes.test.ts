/** A client that names no scopes has none, or those that its issuer's policy allows: never any that there is. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { clientManifest, redirectUri, request, token } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'

const challenge = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }

describe('a client that names no scopes', () => {
  let test: TestIssuer
  let cookie: string

  before(async () => {
    test = await startIssuer()
    await test.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: default, namespace: default, labels: { signet.dev/auth-server: default } }
spec:
  allowedGrantTypes: [authorization_code, client_credentials]
  allowedScopes: [openid, profile]
  dynamicRegistration: { enabled: true, initialAccessToken: false }
---
${clientManifest('silent', '  grantTypes: [authorization_code, client_credentials]\n', '')}`)
    ;({ cookie } = await test.signIn('ann'))
  })
  after(() => test.close())

  const errorOf = async (client: { client_id: string }, scope: string) => {
    const answer = await request(test, client, cookie, { scope, ...challenge })
    const location = answer.headers.get('location') ?? ''
    return URL.canParse(location) ? new URL(location).searchParams.get('error') : null
  }

  it('of a manifest gets none', async () => {
    const silent = await test.credentials('silent')
    for (const scope of ['openid', 'openid email', 'profile']) assert.equal(await errorOf(silent, scope), 'invalid_scope', scope)
    assert.equal((await token(test, silent, { grant_type: 'client_credentials', scope: 'profile' })).body.error, 'invalid_scope')
    const { status, body } = await token(test, silent, { grant_type: 'client_credentials' })
    assert.deepEqual([status, body.scope], [200, undefined])
  })

  it('that registered itself gets those of the policy', async () => {
    const answer = await fetch(`${test.issuer}/oauth2/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: [redirectUri], grant_types: ['authorization_code', 'client_credentials'] }),
    })
    assert.equal(answer.status, 201)
    const made = (await answer.json()) as { client_id: string; client_secret: string }
    assert.equal(await errorOf(made, 'openid email'), 'invalid_scope')
    assert.equal(await errorOf(made, 'openid profile'), null)
    assert.equal((await token(test, made, { grant_type: 'client_credentials', scope: 'email' })).body.error, 'invalid_scope')
  })
})
