/** A client as its policies let it be: what its spec leaves out is filled in, what stands outside is named. Pure. */
import { type AuthClientResource, clientIdOf } from '#/kinds/auth_client.ts'
import type { AuthMethod, GrantType, ResponseType } from '#/kinds/oauth.ts'
import type { EffectivePolicy } from './effective_policy.ts'

export interface ResolvedClient<Client extends AuthClientResource = AuthClientResource> {
  readonly resource: Client
  readonly clientId: string
  readonly grantTypes: readonly GrantType[]
  readonly responseTypes: readonly ResponseType[]
  readonly tokenEndpointAuthMethod: AuthMethod
  /** Whether it authenticates with a secret that we made. */
  readonly usesSecret: boolean
  /** The one way in which it may show its secret, where it or its policies name just one. Undefined: in the header or in the body. */
  readonly secretMethod: SecretMethod | undefined
  readonly policy: EffectivePolicy
}

export type SecretMethod = (typeof secretMethods)[number]
const secretMethods = ['client_secret_basic', 'client_secret_post'] as const satisfies readonly AuthMethod[]

export interface Violation {
  /** `spec.scopes` */
  field: string
  /** `payments` */
  value: string
  detail: string
}

export const resolveClient = <Client extends AuthClientResource>(resource: Client, policy: EffectivePolicy): ResolvedClient<Client> => {
  const { spec } = resource
  const tokenEndpointAuthMethod = spec.tokenEndpointAuthMethod ?? usualAuthMethod(resource, policy)
  const grantTypes = spec.grantTypes ?? policy.allowedGrantTypes.filter((grant) => fits(grant, resource))
  return {
    resource,
    clientId: clientIdOf(resource),
    grantTypes,
    responseTypes: spec.responseTypes ?? (grantTypes.includes('authorization_code') ? ['code'] : []),
    tokenEndpointAuthMethod,
    usesSecret: tokenEndpointAuthMethod.startsWith('client_secret_'),
    secretMethod: secretMethodOf(spec.tokenEndpointAuthMethod, policy),
    policy,
  }
}

/** Of what a client says of itself, and of what its policies let it. */
export const secretMethodOf = (stated: string | undefined, { authMethods }: EffectivePolicy): SecretMethod | undefined => {
  const allowed = secretMethods.filter((method) => authMethods.includes(method) && (stated === undefined || stated === method))
  return allowed.length === 1 ? allowed[0] : undefined
}

const usualAuthMethod = ({ spec }: AuthClientResource, { authMethods }: EffectivePolicy): AuthMethod => {
  if (spec.clientType === 'public') return 'none'
  const allowed = authMethods.filter((method) => method !== 'none')
  if (allowed.includes('client_secret_basic')) return 'client_secret_basic'
  if (allowed.includes('private_key_jwt') && (spec.jwks || spec.jwksUri)) return 'private_key_jwt'
  return allowed[0] ?? 'client_secret_basic'
}

const fits = (grant: GrantType, { spec }: AuthClientResource): boolean => {
  if (grant === 'client_credentials') return spec.clientType === 'confidential'
  if (grant === 'authorization_code' || grant === 'implicit') return spec.redirectUris.length > 0
  return true
}

/** What an AuthServer signs with: ES256 always. */
export const keptAlgorithms = <Alg extends string>(signingAlgorithms: readonly Alg[]): readonly (Alg | 'ES256')[] => [
  ...new Set<Alg | 'ES256'>(['ES256', ...signingAlgorithms]),
]

/** Algorithms that a client wants answers signed with and its AuthServer has no keys for. */
export const unkeptAlgorithms = ({ spec }: AuthClientResource, signingAlgorithms: readonly string[]): Violation[] => {
  const kept = keptAlgorithms(signingAlgorithms)
  return (
    ['idTokenSignedResponseAlg', 'userinfoSignedResponseAlg', 'authorizationSignedResponseAlg', 'introspectionSignedResponseAlg'] as const
  ).flatMap((field) => {
    const value = spec[field]
    return value === undefined || kept.includes(value)
      ? []
      : [{ field: `spec.${field}`, value, detail: `is an algorithm its AuthServer keeps no keys for (${kept.join(', ')})` }]
  })
}

/** RS256 and RSA1_5 are left out by FAPI 2.0 Security Profile section 5.4. */
const fapiAlgorithms = ['PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** Every field in which a client stands outside its policy; empty when it stands inside. */
export const violations = ({ resource: { spec }, policy, ...client }: ResolvedClient): Violation[] => {
  const found: Violation[] = []
  const outside = (field: string, value: string, detail: string) => found.push({ field: `spec.${field}`, value, detail })
  if (policy.allowedScopes)
    for (const scope of spec.scopes)
      if (!policy.allowedScopes.includes(scope)) outside('scopes', scope, 'is a scope the policy does not allow')
  for (const grant of client.grantTypes)
    if (!policy.allowedGrantTypes.includes(grant)) outside('grantTypes', grant, 'is a grant the policy does not allow')
  for (const type of client.responseTypes)
    if (!policy.allowedResponseTypes.includes(type)) outside('responseTypes', type, 'is a response type the policy does not allow')
  const method = client.tokenEndpointAuthMethod
  if (!policy.authMethods.includes(method)) outside('tokenEndpointAuthMethod', method, 'is a way to authenticate the policy does not allow')
  else if (method === 'private_key_jwt' && !spec.jwks && !spec.jwksUri)
    outside('jwks', 'absent', 'and the policy demands private_key_jwt, which needs jwks or jwksUri')
  if (spec.requirePkce === false && policy.enforcePKCE) outside('requirePkce', 'false', 'and the policy demands PKCE')
  if (policy.profile) {
    for (const uri of spec.redirectUris)
      if (uri.startsWith('http:')) outside('redirectUris', uri, `is no https address, which the profile ${policy.profile} demands`)
    for (const field of [
      'idTokenSignedResponseAlg',
      'userinfoSignedResponseAlg',
      'authorizationSignedResponseAlg',
      'tokenEndpointAuthSigningAlg',
      'requestObjectSigningAlg',
    ] as const) {
      const alg = spec[field]
      if (alg !== undefined && !fapiAlgorithms.includes(alg)) outside(field, alg, `is not allowed by the profile ${policy.profile}`)
    }
  }
  return found
}

/** `spec.scopes: payments, spec.grantTypes: implicit` */
export const renderViolations = (found: readonly Violation[]): string => found.map(({ field, value }) => `${field}: ${value}`).join(', ')
