import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { makeAuthority } from '../../test/support/authority.ts'
import { labelSelector, redirectUriProblem, selects } from './fields.ts'
import { kindNames, kinds } from './index.ts'
import { Role, verbs } from './role.ts'

const { ca: certificate } = await makeAuthority(new Date())

/** The least that each kind takes. */
const least: Record<keyof typeof kinds, object> = {
  UserStore: { type: 'postgres' },
  Group: {},
  User: {},
  Role: { rules: [] },
  KeyPair: { certificate },
  AuthPolicy: {},
  Flow: { designation: 'authentication', stages: [{ stage: 'password' }] },
  AuthServer: { issuerUrl: 'https://sign-in.example.com' },
  AuthClient: { authServerRef: { name: 'default' } },
  ClaimMapper: { authServerRef: { name: 'default' }, claims: [{ name: 'team', value: 'user.attributes.team' }] },
  Outpost: {},
  Application: { authServerRef: { name: 'default' }, displayName: 'Shop', launchUrl: 'https://shop.example.com' },
}

for (const name of kindNames) {
  const kind = kinds[name]
  test(`${name} takes the least there is, and is not paused`, () => {
    assert.equal((kind.spec as z.ZodType<{ paused: boolean }>).parse(least[name]).paused, false)
  })
  test(`${name} refuses an unknown field by its name`, () => {
    const parsed = kind.spec.safeParse({ ...least[name], colour: 'red' })
    assert.deepEqual(
      parsed.error?.issues.map((issue) => issue.code === 'unrecognized_keys' && issue.keys),
      [['colour']],
    )
  })
  test(`${name} has a description on every field`, () => {
    const missing: string[] = []
    const walk = (schema: z.core.JSONSchema.BaseSchema, path: string) => {
      for (const [field, value] of Object.entries(schema.properties ?? {})) {
        if (typeof value !== 'object') continue
        if (!value.description) missing.push(`${path}.${field}`)
        walk(value, `${path}.${field}`)
        if (typeof value.items === 'object' && !Array.isArray(value.items)) walk(value.items, `${path}.${field}[]`)
      }
    }
    walk(z.toJSONSchema(kind.spec, { io: 'input', unrepresentable: 'any' }), 'spec')
    assert.deepEqual(missing, [])
  })
}

for (const [value, clientType, expected] of [
  ['https://app.example.com/callback', 'public', undefined],
  ['https://app.example.com/callback?tenant=1', 'public', undefined],
  ['http://localhost:3000/cb', 'public', undefined],
  ['http://127.0.0.1/cb', 'public', undefined],
  ['http://[::1]:8080/cb', 'public', undefined],
  ['com.example.app:/callback', 'public', undefined],
  ['http://app.internal/cb', 'confidential', undefined],
  ['http://app.internal/cb', 'public', /https, or http on loopback/],
  ['https://app.example.com/callback#part', 'public', /fragment/],
  ['https://app.example.com/callback#', 'public', /fragment/],
  ['/callback', 'public', /absolute/],
  ['https://*.example.com/cb', 'confidential', /absolute|wildcards/],
  ['https://user:secret@example.com/cb', 'public', /user or a password/],
  ['javascript:alert(1)', 'public', /refused/],
  ['data:text/html,x', 'confidential', /refused/],
  ['myapp:/callback', 'public', /domain in reverse/],
  ['https://app.example.com/a b', 'public', /spaces/],
] as const)
  test(`redirect address ${value} of a ${clientType} client is ${expected ? 'refused' : 'taken'}`, () => {
    const problem = redirectUriProblem(value, clientType)
    if (expected) assert.match(problem ?? '', expected)
    else assert.equal(problem, undefined)
  })

for (const [selector, labels, expected] of [
  [{}, { app: 'web' }, true],
  [{ app: 'web' }, { app: 'web', tier: 'a' }, true],
  [{ app: 'web' }, { app: 'api' }, false],
  [{ matchLabels: { app: 'web' } }, { app: 'web' }, true],
  [{ matchExpressions: [{ key: 'tier', operator: 'In', values: ['a', 'b'] }] }, { tier: 'b' }, true],
  [{ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['a'] }] }, {}, true],
  [{ matchExpressions: [{ key: 'tier', operator: 'Exists' }] }, {}, false],
  [{ matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] }, {}, true],
] as const)
  test(`label selector ${JSON.stringify(selector)} ${expected ? 'selects' : 'leaves out'} ${JSON.stringify(labels)}`, () => {
    assert.equal(selects(labelSelector('Which.').parse(selector), labels), expected)
  })

for (const [title, kind, spec, pointer] of [
  ['an LDAP store without a directory', 'UserStore', { type: 'ldap' }, 'ldap'],
  [
    'an LDAP store with server and directoryRef',
    'UserStore',
    { type: 'ldap', ldap: { server: 'ldap://x', directoryRef: { name: 'd' } } },
    'ldap.server',
  ],
  ['an issuer with a query', 'AuthServer', { issuerUrl: 'https://example.com/?a=b' }, 'issuerUrl'],
  ['an issuer with upper case', 'AuthServer', { issuerUrl: 'https://Example.com' }, 'issuerUrl'],
  [
    'a public client with a secret',
    'AuthClient',
    { clientType: 'public', tokenEndpointAuthMethod: 'client_secret_basic' },
    'tokenEndpointAuthMethod',
  ],
  ['private_key_jwt without keys', 'AuthClient', { tokenEndpointAuthMethod: 'private_key_jwt' }, 'jwks'],
  ['a private key in jwks', 'AuthClient', { jwks: { keys: [{ kty: 'EC', d: 'x' }] } }, 'jwks.keys.0.d'],
  ['jwks and jwksUri', 'AuthClient', { jwks: { keys: [{ kty: 'EC' }] }, jwksUri: 'https://example.com/jwks' }, 'jwksUri'],
  ['a grant without redirect addresses', 'AuthClient', { grantTypes: ['authorization_code'] }, 'redirectUris'],
  ['client_credentials of a public client', 'AuthClient', { clientType: 'public', grantTypes: ['client_credentials'] }, 'grantTypes.0'],
  [
    'a private-use scheme of a web application',
    'AuthClient',
    { applicationType: 'web', clientType: 'public', redirectUris: ['com.example.app:/callback'] },
    'redirectUris.0',
  ],
  [
    'http elsewhere than at the machine itself, of a native application',
    'AuthClient',
    { applicationType: 'native', redirectUris: ['http://app.example/callback'] },
    'redirectUris.0',
  ],
  [
    'https at the machine itself, of a native application',
    'AuthClient',
    { applicationType: 'native', postLogoutRedirectUris: ['https://127.0.0.1/bye'] },
    'postLogoutRedirectUris.0',
  ],
  ['an application that is neither web nor native', 'AuthClient', { applicationType: 'desktop' }, 'applicationType'],
  ['a redirect address twice', 'AuthClient', { redirectUris: ['https://a.example/', 'https://a.example/'] }, 'redirectUris.1'],
  ['a lifetime that is none', 'AuthPolicy', { token: { accessTokenTTL: '5 minutes' } }, 'token.accessTokenTTL'],
  ['a lifetime of nothing', 'AuthPolicy', { token: { accessTokenTTL: '0s' } }, 'token.accessTokenTTL'],
  [
    'rotation without a schedule',
    'AuthPolicy',
    { clientAuthentication: { secretRotation: { enabled: true } } },
    'clientAuthentication.secretRotation.schedule',
  ],
  ['a mapper of a claim of the protocol', 'ClaimMapper', { claims: [{ name: 'sub', value: 'user.username' }] }, 'claims.0.name'],
  ['an expression that does not compile', 'ClaimMapper', { claims: [{ name: 'x', value: 'user.' }] }, 'claims.0.value'],
  ['an expression over a variable there is not', 'ClaimMapper', { claims: [{ name: 'x', value: 'request.host' }] }, 'claims.0.value'],
  ['access that is no yes or no', 'Application', { access: { when: '"yes"' } }, 'access.when'],
  ['a verb there is not', 'Role', { rules: [{ kinds: ['*'], verbs: ['destroy'] }] }, 'rules.0.verbs.0'],
] as const)
  test(`${kind} refuses ${title}`, () => {
    const parsed = kinds[kind].spec.safeParse({ ...least[kind], ...spec })
    assert.deepEqual(
      parsed.error?.issues.map(({ path }) => path.join('.')),
      [pointer],
    )
  })

test('Role takes each verb', () => {
  assert.equal(Role.spec.safeParse({ rules: [{ kinds: ['*'], verbs: [...verbs] }] }).success, true)
})

test('references name what must be there first', () => {
  const spec = kinds.AuthClient.spec.parse({ authServerRef: { name: 'main', namespace: 'signet' } })
  assert.deepEqual(kinds.AuthClient.references(spec, 'team-a'), [
    { kind: 'AuthServer', namespace: 'signet', name: 'main', pointer: '/spec/authServerRef' },
  ])
})
