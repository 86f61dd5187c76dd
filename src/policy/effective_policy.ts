/**
 * Several AuthPolicies may govern one client. The effective policy is the most restrictive of them, field by field: lists are
 * intersected, demands are added up, lifetimes are the shortest. A field that a policy leaves out says nothing, but for three
 * that are dangerous to leave open: implicit grants, requests without PKCE and remembered devices are allowed only where every policy says so.
 * Adding a policy to others therefore never loosens what any of them says.
 */
import type { AuthPolicySpec } from '#/kinds/auth_policy.ts'
import { seconds } from '#/kinds/fields.ts'
import type { FactorType } from '#/kinds/flow_stages.ts'
import { type AuthMethod, authMethods, type GrantType, grantTypes, type ResponseType, responseTypes } from '#/kinds/oauth.ts'
import { type Acr, acrValues } from './acr.ts'

export type Profile = 'fapi2' | 'fapi2-message-signing'

export interface EffectivePolicy {
  /** `namespace/name` of the policies it is made of; empty: the built-in strict one. */
  readonly policies: readonly string[]
  /** Seconds. */
  readonly accessTokenTTL: number
  readonly refreshTokenTTL: number
  readonly idTokenTTL: number
  readonly authorizationCodeTTL: number
  readonly deviceCodeTTL: number
  readonly allowedGrantTypes: readonly GrantType[]
  readonly allowedResponseTypes: readonly ResponseType[]
  readonly enforcePKCE: boolean
  /** Undefined: policies say nothing about scopes. */
  readonly allowedScopes: readonly string[] | undefined
  readonly authMethods: readonly AuthMethod[]
  readonly secretRotation: { readonly enabled: boolean; readonly schedules: readonly string[]; readonly overlap: number }
  /** The least a sign-in must be worth. */
  readonly acr: Acr
  /** One of these types must have been proven; of none of them: nobody can. Undefined: policies say nothing about types. */
  readonly requiredFactors: readonly FactorType[] | undefined
  /** Seconds that a device is remembered. Undefined: never. */
  readonly rememberDevice: number | undefined
  readonly profile: Profile | undefined
  readonly requirePushedAuthorizationRequests: boolean
  readonly requireDpop: boolean
  readonly requireSignedRequestObject: boolean
  /** Authorization responses must be signed (JARM). */
  readonly requireSignedAuthorizationResponse: boolean
  readonly requireConsent: boolean
  /** Durations as someone wrote them. */
  readonly written: Readonly<Record<DurationField | 'overlap', string>> & { readonly rememberDevice?: string }
}

export const durationFields = ['accessTokenTTL', 'refreshTokenTTL', 'idTokenTTL', 'authorizationCodeTTL', 'deviceCodeTTL'] as const
export type DurationField = (typeof durationFields)[number]

export interface NamedPolicy {
  name: string
  spec: AuthPolicySpec
}

/** Lifetimes where no policy states one. */
const usual: Record<DurationField | 'overlap', string> = {
  accessTokenTTL: '10m',
  refreshTokenTTL: '720h',
  idTokenTTL: '10m',
  authorizationCodeTTL: '60s',
  deviceCodeTTL: '10m',
  overlap: '24h',
}

/** Governs the clients of an AuthServer that selects no policy: sign-in with PKCE and nothing more. */
export const builtInPolicy: AuthPolicySpec = {
  paused: false,
  token: { accessTokenTTL: '5m', refreshTokenTTL: '24h', idTokenTTL: '5m', authorizationCodeTTL: '60s', deviceCodeTTL: '5m' },
  allowedGrantTypes: ['authorization_code', 'refresh_token'],
  allowedResponseTypes: ['code'],
  enforcePKCE: true,
  allowedScopes: ['openid', 'profile', 'email', 'offline_access'],
  requireConsent: true,
  dynamicRegistration: { enabled: false, initialAccessToken: true },
}

const allButImplicit = grantTypes.filter((grant) => grant !== 'implicit')

/** What a profile adds, written as a policy (FAPI 2.0 Security Profile section 5.3, FAPI 2.0 Message Signing sections 5.3 and 5.4). */
const fapi2: AuthPolicySpec = {
  paused: false,
  token: { authorizationCodeTTL: '60s' },
  allowedGrantTypes: allButImplicit,
  allowedResponseTypes: ['code'],
  enforcePKCE: true,
  clientAuthentication: { methods: ['private_key_jwt'] },
  requirePushedAuthorizationRequests: true,
  requireDpop: true,
}

const intersect = <Item>(lists: readonly (readonly Item[])[]): Item[] =>
  (lists[0] ?? []).filter((item) => lists.every((list) => list.includes(item)))

const stated = <Value>(values: readonly (Value | undefined)[]): Value[] => values.filter((value) => value !== undefined)

const shortest = (durations: (string | undefined)[], fallback: string): string =>
  stated(durations).reduce<string | undefined>(
    (least, text) => (least === undefined || seconds(text) < seconds(least) ? text : least),
    undefined,
  ) ?? fallback

/** A response type is possible when the grants it takes are allowed (OpenID Connect Dynamic Registration section 2). */
const fitsGrants = (type: ResponseType, grants: readonly GrantType[]): boolean => {
  const words = type.split(' ')
  if (words.includes('code') && !grants.includes('authorization_code')) return false
  return !(words.includes('id_token') || words.includes('token')) || grants.includes('implicit')
}

/** Pure. Without policies it is the built-in one. */
export const effectivePolicy = (policies: readonly NamedPolicy[]): EffectivePolicy => {
  const own = policies.length ? policies.map(({ spec }) => spec) : [builtInPolicy]
  const profile = own.some((spec) => spec.profile === 'fapi2-message-signing')
    ? 'fapi2-message-signing'
    : own.some((spec) => spec.profile === 'fapi2')
      ? 'fapi2'
      : undefined
  const specs = profile ? [...own, fapi2] : own
  const signed = profile === 'fapi2-message-signing'

  const grants = intersect(specs.map((spec) => spec.allowedGrantTypes ?? allButImplicit))
  const responses = intersect([responseTypes, ...stated(specs.map((spec) => spec.allowedResponseTypes))])
  const scopes = stated(specs.map((spec) => spec.allowedScopes))
  const methods = specs.flatMap(({ clientAuthentication: stating }) => [
    ...(stating?.method ? [[stating.method]] : []),
    ...(stating?.methods ? [stating.methods] : []),
  ])
  const factors = stated(specs.map((spec) => spec.authentication?.requiredFactors))
  const demandedAcrs = [...stated(specs.map((spec) => spec.authentication?.acr)), ...(factors.length ? (['2fa'] as const) : [])]
  const rotations = stated(specs.map((spec) => spec.clientAuthentication?.secretRotation))
  const durations = Object.fromEntries(
    durationFields.map((field) => [
      field,
      shortest(
        specs.map((spec) => spec.token?.[field]),
        usual[field],
      ),
    ]),
  ) as Record<DurationField, string>
  const overlap = shortest(
    rotations.map((rotation) => rotation.overlap),
    usual.overlap,
  )
  const remembering = own.map((spec) => spec.authentication?.rememberDevice)
  const rememberDevice = remembering.includes(undefined) ? undefined : shortest(remembering, '')
  const demanded = (field: 'requirePushedAuthorizationRequests' | 'requireDpop' | 'requireSignedRequestObject' | 'requireConsent') =>
    specs.some((spec) => spec[field] === true)

  return Object.freeze({
    policies: policies.map(({ name }) => name),
    accessTokenTTL: seconds(durations.accessTokenTTL),
    refreshTokenTTL: seconds(durations.refreshTokenTTL),
    idTokenTTL: seconds(durations.idTokenTTL),
    authorizationCodeTTL: seconds(durations.authorizationCodeTTL),
    deviceCodeTTL: seconds(durations.deviceCodeTTL),
    allowedGrantTypes: grants,
    allowedResponseTypes: responses.filter((type) => type === 'none' || fitsGrants(type, grants)),
    enforcePKCE: !specs.every((spec) => spec.enforcePKCE === false),
    allowedScopes: scopes.length ? intersect(scopes) : undefined,
    authMethods: intersect([authMethods, ...methods]),
    secretRotation: {
      enabled: rotations.some((rotation) => rotation.enabled),
      schedules: [...new Set(stated(rotations.filter((rotation) => rotation.enabled).map((rotation) => rotation.schedule)))],
      overlap: seconds(overlap),
    },
    acr: acrValues.findLast((acr) => demandedAcrs.includes(acr)) ?? '1fa',
    requiredFactors: factors.length ? intersect(factors) : undefined,
    rememberDevice: rememberDevice === undefined ? undefined : seconds(rememberDevice),
    profile,
    requirePushedAuthorizationRequests: demanded('requirePushedAuthorizationRequests'),
    requireDpop: demanded('requireDpop'),
    requireSignedRequestObject: demanded('requireSignedRequestObject') || signed,
    requireSignedAuthorizationResponse: signed,
    requireConsent: demanded('requireConsent'),
    written: { ...durations, overlap, ...(rememberDevice === undefined ? {} : { rememberDevice }) },
  })
}

/** As it is shown in status: the words of AuthPolicy.spec, durations as someone wrote them. */
export const renderEffectivePolicy = (policy: EffectivePolicy): Record<string, unknown> => ({
  policies: policy.policies,
  ...(policy.policies.length ? {} : { builtIn: true }),
  token: Object.fromEntries(durationFields.map((field) => [field, policy.written[field]])),
  allowedGrantTypes: policy.allowedGrantTypes,
  allowedResponseTypes: policy.allowedResponseTypes,
  enforcePKCE: policy.enforcePKCE,
  ...(policy.allowedScopes ? { allowedScopes: policy.allowedScopes } : {}),
  clientAuthentication: {
    methods: policy.authMethods,
    ...(policy.secretRotation.enabled
      ? { secretRotation: { enabled: true, schedules: policy.secretRotation.schedules, overlap: policy.written.overlap } }
      : {}),
  },
  ...renderAuthentication(policy),
  ...(policy.profile ? { profile: policy.profile } : {}),
  requirePushedAuthorizationRequests: policy.requirePushedAuthorizationRequests,
  requireDpop: policy.requireDpop,
  requireSignedRequestObject: policy.requireSignedRequestObject,
  requireConsent: policy.requireConsent,
})

const renderAuthentication = ({ acr, requiredFactors, written: { rememberDevice } }: EffectivePolicy): { authentication?: object } => {
  const authentication = {
    ...(acr === '1fa' ? {} : { acr }),
    ...(requiredFactors ? { requiredFactors } : {}),
    ...(rememberDevice === undefined ? {} : { rememberDevice }),
  }
  return Object.keys(authentication).length ? { authentication } : {}
}
