import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { authorize, basic, claimsOf, clientManifest, exchange, post, token } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'
import type { ClientCredentials } from '../../test/support/oauth.ts'

const grantTypes = '  grantTypes: [authorization_code, client_credentials, device_code]\n'

describe('scopes', () => {
  let test: TestIssuer
  let service: ClientCredentials
  let caller: ClientCredentials

  before(async () => {
    test = await startIssuer()
    await test.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: default, namespace: default, labels: { signet.dev/auth-server: default } }
spec: { allowedGrantTypes: [authorization_code, client_credentials, device_code] }
`)
    await test.apply(clientManifest('service', grantTypes, 'openid, email, read'))
    await test.apply(clientManifest('caller', `${grantTypes}  resources: ['https://api.example/']`, 'openid, email, read'))
    // Its scopes are known to the issuer, though not to the others.
    await test.apply(clientManifest('other', '', 'openid, write'))
    service = await test.credentials('service')
    caller = await test.credentials('caller')
  })
  after(() => test.close())

  const own = (client: ClientCredentials, more: Record<string, string>) =>
    token(test, client, { grant_type: 'client_credentials', ...more })
  const device = (client: ClientCredentials, more: Record<string, string>) => post(`${test.issuer}/oauth2/device`, more, basic(client))

  for (const scope of ['payments', 'read payments', 'write', 'read write', 'phone', 'x'.repeat(5000)])
    it(`a client’s own token and a device are refused scope ${scope.slice(0, 20)} (RFC 6749 section 5.2)`, async () => {
      for (const client of [service, caller])
        for (const ask of [own, device])
          for (const more of [{}, { unknown: '1' }, ...(client === caller ? [{ resource: 'https://api.example/' }] : [])]) {
            const { status, body } = await ask(client, { scope, ...more })
            assert.deepEqual([status, body.error], [400, 'invalid_scope'], `${client.client_id} ${ask.name} ${JSON.stringify(more)}`)
          }
    })

  it('what is granted is said, and nothing of what was asked is no answer (RFC 6749 section 5.1)', async () => {
    assert.deepEqual((await own(service, { scope: 'email read' })).body.scope, 'email read')
    // Of a token for an API, what is for userinfo is no part.
    const narrowed = await own(caller, { scope: 'email read' })
    assert.deepEqual([narrowed.body.scope, claimsOf(narrowed.body.access_token).scope], ['read', 'read'])
    const nothing = await own(caller, { scope: 'email' })
    assert.deepEqual([nothing.status, nothing.body.error], [400, 'invalid_scope'])
    const silent = await own(service, {})
    assert.deepEqual([silent.status, silent.body.scope], [200, undefined])
  })

  it('a device may ask for what its client may', async () => {
    for (const client of [service, caller])
      for (const scope of ['openid email', 'read', 'openid read']) assert.equal((await device(client, { scope })).status, 200, scope)
  })

  it('someone who signs in gets what is known, and the answer says so (OpenID Connect Core section 3.1.2.1)', async () => {
    const { cookie } = await test.signIn('ann', { email: 'ann@example.com' })
    for (const more of [{}, { unknown: '1' }]) {
      const { status, body } = await exchange(
        test,
        service,
        await authorize(test, service, cookie, { scope: 'openid payments email', ...more }),
      )
      assert.deepEqual([status, body.scope, claimsOf(body.access_token).scope], [200, 'openid email', 'openid email'])
    }
  })

  it('discovery names the scopes that a policy lets somebody have', async () => {
    const offered = async () => {
      const answer = await fetch(`${test.issuer}/few/.well-known/openid-configuration`)
      return ((await answer.json()) as { scopes_supported: string[] }).scopes_supported.sort()
    }
    await test.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: few, namespace: default, labels: { few: 'yes' } }
spec: { allowedScopes: [openid, profile, pay] }
---
apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: { name: few, namespace: default }
spec: { issuerUrl: '${test.issuer}/few', policySelector: { matchLabels: { few: 'yes' } } }
`)
    assert.deepEqual(await offered(), ['openid', 'pay', 'profile'])
    await test.apply(clientManifest('fewer', '', 'openid, pay').replace('{ name: default }', '{ name: few }'))
    assert.deepEqual(await offered(), ['openid', 'pay', 'profile'])
    await test.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: few, namespace: default, labels: { few: 'yes' } }
spec: {}
`)
    assert.deepEqual(await offered(), ['address', 'email', 'groups', 'offline_access', 'openid', 'pay', 'phone', 'profile'])
  })
})
