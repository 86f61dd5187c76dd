/** What an AuthClient's spec is called in client metadata (RFC 7591 and its followers), and what its policy adds to it. */
import type { ClientMetadata } from 'oidc-provider'
import type { AuthClientSpec } from '#/kinds/auth_client.ts'
import type { EffectivePolicy } from '#/policy/effective_policy.ts'
import type { ResolvedClient } from '#/policy/resolved_client.ts'

/** Fields that are handed on as they are, under their registered names. */
const registeredNames = {
  redirectUris: 'redirect_uris',
  tokenEndpointAuthSigningAlg: 'token_endpoint_auth_signing_alg',
  jwks: 'jwks',
  jwksUri: 'jwks_uri',
  postLogoutRedirectUris: 'post_logout_redirect_uris',
  backchannelLogoutUri: 'backchannel_logout_uri',
  backchannelLogoutSessionRequired: 'backchannel_logout_session_required',
  requirePushedAuthorizationRequests: 'require_pushed_authorization_requests',
  dpopBoundAccessTokens: 'dpop_bound_access_tokens',
  subjectType: 'subject_type',
  sectorIdentifierUri: 'sector_identifier_uri',
  idTokenSignedResponseAlg: 'id_token_signed_response_alg',
  userinfoSignedResponseAlg: 'userinfo_signed_response_alg',
  authorizationSignedResponseAlg: 'authorization_signed_response_alg',
  introspectionSignedResponseAlg: 'introspection_signed_response_alg',
  requestObjectSigningAlg: 'request_object_signing_alg',
  requireSignedRequestObject: 'require_signed_request_object',
  defaultMaxAge: 'default_max_age',
  requireAuthTime: 'require_auth_time',
  defaultAcrValues: 'default_acr_values',
  initiateLoginUri: 'initiate_login_uri',
  logoUri: 'logo_uri',
  clientUri: 'client_uri',
  policyUri: 'policy_uri',
  tosUri: 'tos_uri',
  contacts: 'contacts',
} satisfies Partial<Record<keyof AuthClientSpec, string>>

const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code'

/** Without a redirect address a sector must be shown by other means (OpenID Connect CIBA section 4): the library demands all of them. */
const mayUseDeviceCode = ({ subjectType, jwksUri, sectorIdentifierUri }: AuthClientSpec, method: string): boolean =>
  subjectType !== 'pairwise' || (method === 'private_key_jwt' && jwksUri !== undefined && sectorIdentifierUri !== undefined)

/** Scopes a client may be granted: those it names, as far as its policy goes. */
export const scopesOf = (scopes: readonly string[], { allowedScopes }: EffectivePolicy): string[] =>
  scopes.filter((scope) => allowedScopes === undefined || allowedScopes.includes(scope))

export const clientMetadata = (
  {
    clientId,
    grantTypes,
    responseTypes,
    tokenEndpointAuthMethod,
    policy,
    resource: { spec, metadata },
  }: ResolvedClient<{
    metadata: { namespace: string; name: string }
    spec: AuthClientSpec
  }>,
  client_secret: string | undefined,
): ClientMetadata => {
  const named = Object.entries(registeredNames).map(([field, name]) => [name, spec[field as keyof typeof registeredNames]])
  return demands(
    {
      ...Object.fromEntries(named.filter(([, value]) => value !== undefined)),
      client_id: clientId,
      client_name: spec.displayName ?? metadata.name,
      application_type: spec.applicationType ?? (spec.redirectUris.some((uri) => !/^https?:/.test(uri)) ? 'native' : 'web'),
      grant_types: grantTypes.filter((grant) => grant !== deviceCode || mayUseDeviceCode(spec, tokenEndpointAuthMethod)),
      response_types: [...responseTypes],
      token_endpoint_auth_method: tokenEndpointAuthMethod,
      scope: scopesOf(spec.scopes, policy).join(' '),
      ...(client_secret !== undefined && { client_secret }),
    },
    policy,
  )
}

/** What a policy demands of a client, whatever the client says of itself. */
export const demands = (metadata: ClientMetadata, policy: EffectivePolicy): ClientMetadata => ({
  ...metadata,
  ...(policy.requirePushedAuthorizationRequests && { require_pushed_authorization_requests: true }),
  ...(policy.requireSignedRequestObject && { require_signed_request_object: true }),
  ...(policy.requireDpop && { dpop_bound_access_tokens: true }),
  ...(policy.requireSignedAuthorizationResponse && { response_modes: ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'] }),
})
