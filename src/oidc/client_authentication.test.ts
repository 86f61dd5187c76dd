import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { basic, clientManifest, post, redirectUri } from '../../test/support/code_flow.ts'
import { startIssuer, type TestIssuer } from '../../test/support/issuer.ts'
import type { ClientCredentials } from '../../test/support/oauth.ts'

const grants = '[authorization_code, refresh_token, client_credentials, device_code]'

const policy = (more: string) => `
apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: default, namespace: default, labels: { signet.dev/auth-server: default } }
spec:
  allowedGrantTypes: ${grants}
  dynamicRegistration: { enabled: true, initialAccessToken: false }
${more}
`

/** What each endpoint that authenticates clients is asked, right but for the client. */
const requests: Record<string, Record<string, string>> = {
  token: { grant_type: 'client_credentials' },
  // The quick way knows no parameter of this name.
  'token?unknown=1': { grant_type: 'client_credentials', unknown: '1' },
  introspect: { token: 'x' },
  revoke: { token: 'x' },
  device: { scope: 'openid' },
  par: {
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid',
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
  },
}

const ways: [title: string, policy: string, client: string, taken: string[]][] = [
  ['where nothing is said either way is taken', '', '', ['client_secret_basic', 'client_secret_post']],
  [
    'where the policy names both either way is taken',
    '  clientAuthentication: { methods: [client_secret_post, client_secret_basic] }',
    '',
    ['client_secret_basic', 'client_secret_post'],
  ],
  ['the policy says client_secret_basic', '  clientAuthentication: { method: client_secret_basic }', '', ['client_secret_basic']],
  ['the policy says client_secret_post', '  clientAuthentication: { method: client_secret_post }', '', ['client_secret_post']],
  [
    'the policy names client_secret_post beside private_key_jwt',
    '  clientAuthentication: { methods: [private_key_jwt, client_secret_post] }',
    '',
    ['client_secret_post'],
  ],
  ['the client says client_secret_basic', '', '  tokenEndpointAuthMethod: client_secret_basic', ['client_secret_basic']],
  ['the client says client_secret_post', '', '  tokenEndpointAuthMethod: client_secret_post', ['client_secret_post']],
]

describe('how a client may show its secret', () => {
  let test: TestIssuer

  before(async () => {
    test = await startIssuer()
  })
  after(() => test.close())

  const ask = (endpoint: string, client: ClientCredentials, method: string) => {
    const url = `${test.issuer}/oauth2/${endpoint}`
    const parameters = { ...requests[endpoint], ...(endpoint === 'par' && { client_id: client.client_id }) }
    return method === 'client_secret_post' ? post(url, { ...parameters, ...client }) : post(url, parameters, basic(client))
  }

  for (const [title, ofPolicy, ofClient, taken] of ways)
    it(title, async () => {
      await test.apply(policy(ofPolicy))
      await test.apply(clientManifest('app', `  grantTypes: ${grants}\n${ofClient}`))
      const client = await test.credentials('app')
      // Twice the way that is taken, so that the second may be answered the quick way, and then the other.
      for (const endpoint of Object.keys(requests))
        for (const method of [...taken, ...taken, 'client_secret_basic', 'client_secret_post']) {
          const { status, body } = await ask(endpoint, client, method)
          const where = `${endpoint} by ${method}`
          if (taken.includes(method)) assert.ok(status < 300, `${where}: ${status} ${JSON.stringify(body)}`)
          else assert.deepEqual([status, body.error], [401, 'invalid_client'], where)
        }
    })

  it('a registered client shows it as it was registered (RFC 7591 section 2)', async () => {
    await test.apply(policy(''))
    for (const token_endpoint_auth_method of ['client_secret_basic', 'client_secret_post']) {
      const answer = await fetch(`${test.issuer}/oauth2/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ redirect_uris: [], grant_types: ['client_credentials'], token_endpoint_auth_method, response_types: [] }),
      })
      const client = (await answer.json()) as ClientCredentials
      for (const method of ['client_secret_basic', 'client_secret_post']) {
        const { status } = await ask('token', client, method)
        assert.equal(status, method === token_endpoint_auth_method ? 200 : 401, `${token_endpoint_auth_method} by ${method}`)
      }
    }
  })
})
