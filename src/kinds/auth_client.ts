import { z } from 'zod'
import {
  always,
  applicationUriProblem,
  distinct,
  paused,
  redirectUriProblem,
  reference,
  scopeToken,
  stringsOf,
  text,
  webUrl,
} from './fields.ts'
import { defineKind } from './kind.ts'
import { authMethod, clientSigningAlg, grantType, responseType, serverSigningAlg } from './oauth.ts'

const flag = (what: string) => z.boolean().default(false).describe(what)

/** A public key set (RFC 7517): private members are refused. */
const jwks = z
  .looseObject({
    keys: z
      .array(z.looseObject({ kty: z.enum(['EC', 'RSA', 'OKP']).describe('Key type.') }))
      .min(1)
      .max(20)
      .describe('The keys.'),
  })
  .superRefine(({ keys }, context) => {
    for (const [index, key] of keys.entries())
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'])
        if (member in key)
          context.addIssue({ code: 'custom', path: ['keys', index, member], message: 'is a private member; send public keys only' })
  })
  .meta({ crd: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } })

/** As much of a spec as there is: a field may be missing or of another type. */
interface Incomplete {
  readonly clientType?: unknown
  readonly applicationType?: unknown
  readonly redirectUris?: unknown
  readonly postLogoutRedirectUris?: unknown
  readonly grantTypes?: unknown
  readonly responseTypes?: unknown
  readonly tokenEndpointAuthMethod?: unknown
  readonly tokenEndpointAuthSigningAlg?: unknown
  readonly jwks?: unknown
  readonly jwksUri?: unknown
  readonly subjectType?: unknown
  readonly sectorIdentifierUri?: unknown
}

/** What fields demand of one another. */
const checkTogether = (spec: Incomplete, context: z.core.$RefinementCtx): void => {
  const refuse = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
  const { clientType, tokenEndpointAuthMethod: method, tokenEndpointAuthSigningAlg: alg } = spec
  const redirectUris = stringsOf(spec.redirectUris)
  const grants = spec.grantTypes === undefined ? undefined : stringsOf(spec.grantTypes).map(([, grant]) => grant)
  const type = clientType === 'public' ? 'public' : 'confidential'

  for (const field of ['redirectUris', 'postLogoutRedirectUris'] as const)
    for (const [index, uri] of stringsOf(spec[field])) {
      const problem = redirectUriProblem(uri, type) ?? applicationUriProblem(uri, spec.applicationType)
      if (problem) refuse([field, index], problem)
    }

  if (type === 'public' && method !== undefined && method !== 'none')
    refuse(['tokenEndpointAuthMethod'], 'a public client cannot authenticate: wants none')
  if (type === 'confidential' && method === 'none') refuse(['tokenEndpointAuthMethod'], 'none is for public clients')
  if (spec.jwks !== undefined && spec.jwksUri !== undefined) refuse(['jwksUri'], 'wants either jwks or jwksUri')
  if (method === 'private_key_jwt' && spec.jwks === undefined && spec.jwksUri === undefined)
    refuse(['jwks'], 'private_key_jwt needs jwks or jwksUri')
  if (typeof alg === 'string') {
    if (method !== 'private_key_jwt' && method !== 'client_secret_jwt')
      refuse(['tokenEndpointAuthSigningAlg'], 'belongs to private_key_jwt or client_secret_jwt')
    else if (alg.startsWith('HS') !== (method === 'client_secret_jwt')) refuse(['tokenEndpointAuthSigningAlg'], `does not fit ${method}`)
  }

  if (type === 'public' && grants?.includes('client_credentials'))
    refuse(['grantTypes', grants.indexOf('client_credentials')], 'client_credentials needs a confidential client')
  if (grants?.some((grant) => grant === 'authorization_code' || grant === 'implicit') && redirectUris.length === 0)
    refuse(['redirectUris'], 'authorization_code and implicit need at least one')
  for (const [index, responseTypeWanted] of stringsOf(spec.responseTypes)) {
    const words = responseTypeWanted.split(' ')
    if (grants && words.includes('code') && !grants.includes('authorization_code'))
      refuse(['responseTypes', index], 'needs the grant authorization_code')
    if (grants && (words.includes('id_token') || words.includes('token')) && !grants.includes('implicit'))
      refuse(['responseTypes', index], 'needs the grant implicit')
  }

  const hosts = new Set(redirectUris.flatMap(([, uri]) => (URL.canParse(uri) ? [new URL(uri).host] : [])))
  if (spec.subjectType === 'pairwise' && spec.sectorIdentifierUri === undefined && hosts.size > 1)
    refuse(['sectorIdentifierUri'], 'is needed for pairwise subjects with redirect addresses on several hosts')
}

export const AuthClient = defineKind({
  kind: 'AuthClient',
  plural: 'authclients',
  shortName: 'acli',
  summary:
    'A client of an AuthServer: an application that signs people in or calls others. Every setting is the camelCase of its registered name (RFC 7591). It is refused when it stands outside the policies that govern it.',
  spec: z
    .strictObject({
      paused,
      displayName: text(200).optional().describe('What people read when they are asked for consent. Default: the name of the resource.'),
      authServerRef: reference('AuthServer').describe('The AuthServer it is a client of.'),
      clientId: z
        .string()
        .min(1)
        .max(255)
        .regex(/^[!-~]+$/, 'wants visible ASCII without spaces')
        .optional()
        .describe('client_id. Default: {namespace}.{name}.'),
      clientType: z
        .enum(['confidential', 'public'])
        .default('confidential')
        .describe('confidential: it keeps a secret or a key. public: it runs where everyone can read it.'),
      applicationType: z
        .enum(['web', 'native'])
        .optional()
        .describe(
          'native: it runs on the machine of the person, who comes back by a private-use scheme, or by http at any port of 127.0.0.1, [::1] or localhost (RFC 8252). web: neither. Absent: native where an address has a private-use scheme, else web.',
        ),
      redirectUris: distinct(z.string().max(2048), 100).default([]).describe('Addresses people may be sent back to, compared exactly.'),
      scopes: distinct(scopeToken, 200).default(['openid']).describe('Scopes it may ask for.'),
      grantTypes: distinct(grantType, 20)
        .optional()
        .describe('Grants it uses. Absent: all that the effective policy allows and that fit its other settings.'),
      responseTypes: distinct(responseType, 10)
        .optional()
        .describe('Response types it uses. Absent: code, where it uses the authorization code grant.'),
      tokenEndpointAuthMethod: authMethod
        .optional()
        .describe(
          'How it authenticates. Absent: none when public, else what the policy demands, else client_secret_basic or client_secret_post.',
        ),
      tokenEndpointAuthSigningAlg: z
        .union([clientSigningAlg, z.enum(['HS256', 'HS384', 'HS512'])])
        .optional()
        .describe('Algorithm of its assertions (private_key_jwt, client_secret_jwt). Absent: any that is allowed.')
        .meta({ crd: { type: 'string' } }),
      jwks: jwks.optional().describe('Its public keys.'),
      jwksUri: webUrl.optional().describe('Address of its public keys.'),
      postLogoutRedirectUris: distinct(z.string().max(2048), 100)
        .default([])
        .describe('Addresses people may be sent to after signing out, compared exactly.'),
      backchannelLogoutUri: webUrl.optional().describe('Address that is told when a session ends.'),
      backchannelLogoutSessionRequired: flag('Notices about ended sessions must name the session.'),
      requirePushedAuthorizationRequests: flag('Its authorization requests must be pushed (RFC 9126).'),
      dpopBoundAccessTokens: flag('Its tokens are always bound to a key (RFC 9449).'),
      requirePkce: z.boolean().optional().describe('Its authorization requests must carry PKCE, even where the policy waives it.'),
      subjectType: z.enum(['public', 'pairwise']).default('public').describe('pairwise: people have another sub at every sector.'),
      sectorIdentifierUri: webUrl.optional().describe('Address of the list of redirect addresses that share a sector (pairwise).'),
      idTokenSignedResponseAlg: serverSigningAlg.default('ES256').describe('Algorithm of its ID tokens.'),
      userinfoSignedResponseAlg: serverSigningAlg.optional().describe('Algorithm of signed userinfo answers. Absent: plain JSON.'),
      authorizationSignedResponseAlg: serverSigningAlg.default('ES256').describe('Algorithm of signed authorization responses (JARM).'),
      introspectionSignedResponseAlg: serverSigningAlg
        .optional()
        .describe('Algorithm of signed introspection answers (RFC 9701). Absent: plain JSON.'),
      requestObjectSigningAlg: clientSigningAlg.optional().describe('Algorithm of its request objects. Absent: any that is allowed.'),
      requireSignedRequestObject: flag('Its authorization requests must be signed (RFC 9101).'),
      defaultMaxAge: z.int().min(0).max(31_536_000).optional().describe('Seconds after which people must sign in again.'),
      requireAuthTime: flag('ID tokens always tell when the person signed in.'),
      defaultAcrValues: distinct(text(100), 10).optional().describe('Authentication levels it wants when a request names none.'),
      initiateLoginUri: webUrl.optional().describe('Address at which it begins a sign-in when asked from outside.'),
      logoUri: webUrl.optional().describe('Its picture.'),
      clientUri: webUrl.optional().describe('Its home page.'),
      policyUri: webUrl.optional().describe('How it uses what it learns.'),
      tosUri: webUrl.optional().describe('Its terms of service.'),
      contacts: distinct(text(320), 20).optional().describe('Who is responsible for it.'),
      softwareId: text(255).optional().describe('Identity of the software (RFC 7591).'),
      softwareVersion: text(255).optional().describe('Version of the software (RFC 7591).'),
      accessTokenFormat: z
        .enum(['jwt', 'opaque'])
        .default('jwt')
        .describe('jwt: RFC 9068, checked without asking us. opaque: checked by introspection.'),
      consent: z
        .enum(['required', 'implicit'])
        .default('required')
        .describe('required: each person is asked once. implicit: an application of your own, nobody is asked.'),
      resources: distinct(webUrl, 100)
        .optional()
        .describe('Resource servers (RFC 8707) it may ask tokens for. The first is the default audience.'),
      ownResources: distinct(webUrl, 100)
        .optional()
        .describe('Resource servers that it is itself: tokens for them, whoever asked for them, it may exchange for others (RFC 8693).'),
    })
    .superRefine(checkTogether, always),
  references: ({ authServerRef }, namespace) => [
    { kind: 'AuthServer', namespace: authServerRef.namespace ?? namespace, name: authServerRef.name, pointer: '/spec/authServerRef' },
  ],
})

export type AuthClientSpec = z.output<typeof AuthClient.spec>
export type AuthClientResource = { metadata: { namespace: string; name: string }; spec: AuthClientSpec }

export const clientIdOf = ({ metadata, spec }: AuthClientResource): string => spec.clientId ?? `${metadata.namespace}.${metadata.name}`
