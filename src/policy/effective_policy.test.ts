import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AuthPolicy, type AuthPolicySpec } from '#/kinds/auth_policy.ts'
import { seconds } from '#/kinds/fields.ts'
import { factorTypes } from '#/kinds/flow_stages.ts'
import { authMethods, grantTypes, responseTypes } from '#/kinds/oauth.ts'
import { acrValues, meetsAcr } from './acr.ts'
import { durationFields, type EffectivePolicy, effectivePolicy, renderEffectivePolicy } from './effective_policy.ts'

const policy = (spec: object): AuthPolicySpec => AuthPolicy.spec.parse(spec)
const effective = (...specs: object[]): EffectivePolicy =>
  effectivePolicy(specs.map((spec, index) => ({ name: `p/${index}`, spec: policy(spec) })))

const rows: [title: string, policies: object[], expected: Partial<EffectivePolicy>][] = [
  [
    'without a policy the strict built-in one governs',
    [],
    {
      policies: [],
      allowedGrantTypes: ['authorization_code', 'refresh_token'],
      allowedScopes: ['openid', 'profile', 'email', 'offline_access'],
      enforcePKCE: true,
      accessTokenTTL: 300,
      requireConsent: true,
    },
  ],
  [
    'a policy that says nothing allows all but implicit, demands PKCE and says nothing about scopes',
    [{}],
    {
      allowedGrantTypes: grantTypes.filter((grant) => grant !== 'implicit'),
      enforcePKCE: true,
      allowedScopes: undefined,
      accessTokenTTL: 600,
    },
  ],
  [
    'the shortest lifetime counts, whatever its unit',
    [{ token: { accessTokenTTL: '1h', idTokenTTL: '90s' } }, { token: { accessTokenTTL: '45m' } }, {}],
    { accessTokenTTL: 2700, idTokenTTL: 90, refreshTokenTTL: 720 * 3600 },
  ],
  [
    'only scopes that every policy lists are allowed',
    [{ allowedScopes: ['a', 'b'] }, { allowedScopes: ['b', 'c'] }, {}],
    { allowedScopes: ['b'] },
  ],
  ['scopes without overlap leave none', [{ allowedScopes: ['a'] }, { allowedScopes: ['b'] }], { allowedScopes: [] }],
  [
    'implicit is allowed only where every policy lists it',
    [{ allowedGrantTypes: ['authorization_code', 'implicit'] }, {}],
    { allowedGrantTypes: ['authorization_code'], allowedResponseTypes: ['code', 'none'] },
  ],
  [
    'implicit where all list it brings its response types',
    [{ allowedGrantTypes: ['authorization_code', 'implicit'] }],
    { allowedGrantTypes: ['authorization_code', 'implicit'], allowedResponseTypes: [...responseTypes] },
  ],
  ['PKCE is waived only where every policy says so', [{ enforcePKCE: false }, {}], { enforcePKCE: true }],
  ['PKCE waived by all is waived', [{ enforcePKCE: false }, { enforcePKCE: false }], { enforcePKCE: false }],
  [
    'ways to authenticate are intersected',
    [
      { clientAuthentication: { methods: ['private_key_jwt', 'client_secret_basic'] } },
      { clientAuthentication: { method: 'private_key_jwt' } },
    ],
    { authMethods: ['private_key_jwt'] },
  ],
  [
    'demands are added up',
    [{ requireDpop: true }, { requirePushedAuthorizationRequests: true }],
    { requireDpop: true, requirePushedAuthorizationRequests: true },
  ],
  [
    'schedules of rotation are added up, and the shortest overlap counts',
    [
      { clientAuthentication: { secretRotation: { enabled: true, schedule: '0 3 1 * *', overlap: '48h' } } },
      { clientAuthentication: { secretRotation: { enabled: true, schedule: '@weekly', overlap: '2h' } } },
      { clientAuthentication: { secretRotation: { enabled: false } } },
    ],
    { secretRotation: { enabled: true, schedules: ['0 3 1 * *', '@weekly'], overlap: 7200 } },
  ],
  [
    'types of second factors are intersected',
    [{ authentication: { requiredFactors: ['totp', 'webauthn'] } }, {}],
    { acr: '2fa', requiredFactors: ['totp', 'webauthn'] },
  ],
  [
    'types of second factors that no policy shares leave none',
    [{ authentication: { requiredFactors: ['totp'] } }, { authentication: { requiredFactors: ['webauthn'], acr: 'phr' } }],
    { acr: 'phr', requiredFactors: [] },
  ],
  [
    'a device is remembered where every policy says so, for the shortest time',
    [{ authentication: { rememberDevice: '720h' }, profile: 'fapi2' }, { authentication: { rememberDevice: '90m' } }],
    { rememberDevice: 5400 },
  ],
  [
    'a policy that does not speak of it forgets devices',
    [{ authentication: { rememberDevice: '720h' } }, {}],
    { rememberDevice: undefined },
  ],
  ['no policy says a word about second factors', [{}], { acr: '1fa', requiredFactors: undefined }],
  [
    'profile fapi2 brings its demands',
    [{ profile: 'fapi2', allowedGrantTypes: ['authorization_code', 'implicit'], enforcePKCE: false }],
    {
      profile: 'fapi2',
      enforcePKCE: true,
      allowedGrantTypes: ['authorization_code'],
      allowedResponseTypes: ['code'],
      authMethods: ['private_key_jwt'],
      requirePushedAuthorizationRequests: true,
      requireDpop: true,
      requireSignedRequestObject: false,
      authorizationCodeTTL: 60,
    },
  ],
  [
    'the stricter profile counts',
    [{ profile: 'fapi2' }, { profile: 'fapi2-message-signing' }],
    { profile: 'fapi2-message-signing', requireSignedRequestObject: true, requireSignedAuthorizationResponse: true },
  ],
]

for (const [title, policies, expected] of rows)
  test(`effective policy: ${title}`, () => {
    const found = effective(...policies)
    for (const [field, value] of Object.entries(expected)) assert.deepEqual(found[field as keyof EffectivePolicy], value, field)
  })

test('effective policy: short words for grants mean the registered ones', () => {
  assert.deepEqual(effective({ allowedGrantTypes: ['device_code', 'token_exchange'] }).allowedGrantTypes, [
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:token-exchange',
  ])
})

test('effective policy: status shows durations as they were written', () => {
  assert.deepEqual(
    (renderEffectivePolicy(effective({ token: { accessTokenTTL: '90m' } })).token as Record<string, string>).accessTokenTTL,
    '90m',
  )
})

const duration = fc.constantFrom('30s', '5m', '300s', '1h', '90m', '24h', '30d')
const subset = <Item>(items: readonly Item[]) => fc.subarray([...items])
const anyPolicy = fc
  .record(
    {
      token: fc.record(Object.fromEntries(durationFields.map((field) => [field, duration])), { requiredKeys: [] }),
      allowedGrantTypes: subset(grantTypes),
      allowedResponseTypes: subset(responseTypes),
      allowedScopes: subset(['openid', 'email', 'payments']),
      enforcePKCE: fc.boolean(),
      profile: fc.constantFrom('fapi2', 'fapi2-message-signing'),
      requirePushedAuthorizationRequests: fc.boolean(),
      requireDpop: fc.boolean(),
      requireSignedRequestObject: fc.boolean(),
      requireConsent: fc.boolean(),
      authentication: fc.record(
        {
          acr: fc.constantFrom(...acrValues),
          requiredFactors: fc.subarray([...factorTypes], { minLength: 1 }),
          rememberDevice: duration,
        },
        { requiredKeys: [] },
      ),
      clientAuthentication: fc.record(
        {
          method: fc.constantFrom(...authMethods),
          methods: fc.subarray([...authMethods], { minLength: 1 }),
          secretRotation: fc.record({ enabled: fc.boolean(), schedule: fc.constantFrom('@daily', '@weekly'), overlap: duration }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  )
  .map((spec) => policy(spec))

const isSubset = <Item>(small: readonly Item[], large: readonly Item[]) => small.every((item) => large.includes(item))

test('property: adding a policy never loosens what the others say', () => {
  fc.assert(
    fc.property(fc.array(anyPolicy, { minLength: 1, maxLength: 4 }), anyPolicy, (policies, added) => {
      const names = (specs: AuthPolicySpec[]) => specs.map((spec, index) => ({ name: `p/${index}`, spec }))
      const before = effectivePolicy(names(policies))
      const after = effectivePolicy(names([...policies, added]))
      assert.ok(isSubset(after.allowedGrantTypes, before.allowedGrantTypes))
      assert.ok(isSubset(after.allowedResponseTypes, before.allowedResponseTypes))
      assert.ok(isSubset(after.authMethods, before.authMethods))
      if (before.allowedScopes) assert.ok(after.allowedScopes && isSubset(after.allowedScopes, before.allowedScopes))
      for (const field of [
        'enforcePKCE',
        'requirePushedAuthorizationRequests',
        'requireDpop',
        'requireSignedRequestObject',
        'requireSignedAuthorizationResponse',
        'requireConsent',
      ] as const)
        assert.ok(after[field] || !before[field], field)
      assert.ok((after.rememberDevice ?? 0) <= (before.rememberDevice ?? 0))
      assert.ok(meetsAcr(after.acr, [before.acr]))
      if (before.requiredFactors) assert.ok(after.requiredFactors && isSubset(after.requiredFactors, before.requiredFactors))
      for (const field of durationFields) if (policies.some((spec) => spec.token?.[field])) assert.ok(after[field] <= before[field], field)
      assert.ok(isSubset(before.secretRotation.schedules, after.secretRotation.schedules))
    }),
    { numRuns: 300 },
  )
})

test('property: the order of policies does not matter', () => {
  fc.assert(
    fc.property(fc.array(anyPolicy, { minLength: 2, maxLength: 4 }), (policies) => {
      const measure = (specs: AuthPolicySpec[]) => {
        const found = effectivePolicy(specs.map((spec) => ({ name: 'p/x', spec })))
        return {
          ...found,
          written: Object.values(found.written).map(seconds),
          allowedScopes: found.allowedScopes?.toSorted(),
          allowedGrantTypes: found.allowedGrantTypes.toSorted(),
          requiredFactors: found.requiredFactors?.toSorted(),
          allowedResponseTypes: found.allowedResponseTypes.toSorted(),
          secretRotation: { ...found.secretRotation, schedules: found.secretRotation.schedules.toSorted() },
        }
      }
      assert.deepEqual(measure(policies), measure(policies.toReversed()))
    }),
    { numRuns: 200 },
  )
})
