import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AuthClient } from '#/kinds/auth_client.ts'
import { AuthPolicy } from '#/kinds/auth_policy.ts'
import { effectivePolicy } from './effective_policy.ts'
import { renderViolations, resolveClient, violations } from './resolved_client.ts'

const resolve = (client: object, policy: object) =>
  resolveClient(
    { metadata: { namespace: 'team-a', name: 'web' }, spec: AuthClient.spec.parse({ authServerRef: { name: 'default' }, ...client }) },
    effectivePolicy([{ name: 'p/p', spec: AuthPolicy.spec.parse(policy) }]),
  )

const redirectUris = ['https://web.example.com/callback']
const jwks = { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] }

for (const [title, client, policy, expected] of [
  ['nothing outside', { redirectUris, scopes: ['openid'] }, { allowedScopes: ['openid', 'email'] }, ''],
  [
    'every field outside is named with its value',
    { redirectUris, scopes: ['openid', 'payments'], grantTypes: ['authorization_code', 'implicit'] },
    { allowedScopes: ['openid'], allowedGrantTypes: ['authorization_code'] },
    'spec.scopes: payments, spec.grantTypes: implicit',
  ],
  [
    'response types',
    { redirectUris, grantTypes: ['authorization_code', 'implicit'], responseTypes: ['code', 'code id_token'] },
    { allowedGrantTypes: ['authorization_code', 'implicit'], allowedResponseTypes: ['code'] },
    'spec.responseTypes: code id_token',
  ],
  [
    'the way to authenticate',
    { redirectUris, tokenEndpointAuthMethod: 'client_secret_post' },
    { clientAuthentication: { method: 'client_secret_basic' } },
    'spec.tokenEndpointAuthMethod: client_secret_post',
  ],
  [
    'a public client where a method is demanded',
    { redirectUris, clientType: 'public' },
    { clientAuthentication: { method: 'client_secret_basic' } },
    'spec.tokenEndpointAuthMethod: none',
  ],
  ['a key where the policy demands one', { redirectUris }, { clientAuthentication: { method: 'private_key_jwt' } }, 'spec.jwks: absent'],
  ['with a key it is inside', { redirectUris, jwks }, { clientAuthentication: { method: 'private_key_jwt' } }, ''],
  ['PKCE waived by the client', { redirectUris, requirePkce: false }, {}, 'spec.requirePkce: false'],
  [
    'what a profile forbids',
    { redirectUris: ['http://localhost:3000/cb'], jwks, idTokenSignedResponseAlg: 'RS256' },
    { profile: 'fapi2' },
    'spec.redirectUris: http://localhost:3000/cb, spec.idTokenSignedResponseAlg: RS256',
  ],
] as const)
  test(`violations: ${title}`, () => {
    assert.equal(renderViolations(violations(resolve(client, policy))), expected)
  })

for (const [title, client, policy, expected] of [
  [
    'a confidential client that leaves everything out uses what the policy allows',
    { redirectUris },
    { allowedGrantTypes: ['authorization_code', 'refresh_token', 'client_credentials'] },
    {
      clientId: 'team-a.web',
      grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
      responseTypes: ['code'],
      tokenEndpointAuthMethod: 'client_secret_basic',
      usesSecret: true,
    },
  ],
  [
    'a public client has no secret and no client_credentials',
    { redirectUris, clientType: 'public', clientId: 'spa' },
    { allowedGrantTypes: ['authorization_code', 'client_credentials'] },
    { clientId: 'spa', grantTypes: ['authorization_code'], tokenEndpointAuthMethod: 'none', usesSecret: false },
  ],
  [
    'without redirect addresses there is no authorization code',
    {},
    { allowedGrantTypes: ['authorization_code', 'client_credentials'] },
    { grantTypes: ['client_credentials'], responseTypes: [] },
  ],
  [
    'the only method allowed is taken',
    { jwks },
    { clientAuthentication: { method: 'private_key_jwt' } },
    { tokenEndpointAuthMethod: 'private_key_jwt', usesSecret: false },
  ],
] as const)
  test(`resolved client: ${title}`, () => {
    const found = resolve(client, policy)
    for (const [field, value] of Object.entries(expected)) assert.deepEqual(found[field as keyof typeof found], value, field)
  })
