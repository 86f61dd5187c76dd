/**
 * One issuer's `oidc-provider`: its configuration, and where we take a step over from it. It is made when the issuer is first asked for and
 * anew when what it was made of has changed; requests that run keep the one they began with.
 */
import { createHmac } from 'node:crypto'
import { type ClaimsParameter, type Configuration, errors, interactionPolicy, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import { sessionCookieAttributes, sessionCookieName, sessionSeconds } from '#/identity/session_cookie.ts'
import { deriveKey } from '#/lib/crypto.ts'
import { acrValues, hasProven, meetsAcr, reachableAcrs, wantedAcrs } from '#/policy/acr.ts'
import { keptAlgorithms } from '#/policy/resolved_client.ts'
import { openAccounts } from './account.ts'
import { checkAskedScopes, checkScopesOfResource, isOwnToken } from './asked_scopes.ts'
import { claimsOfScope, claimsOfSignIn } from './claims.ts'
import { factsOf } from './clients.ts'
import { findExistingGrant } from './consent.ts'
import type { ProviderDeps } from './deps.ts'
import { deviceFlowPages } from './device_pages.ts'
import { providerWithOwnFormPost } from './form_post.ts'
import { interactionPath } from './interaction.ts'
import { logoutPages } from './logout_pages.ts'
import { showPage } from './pages.ts'
import { registration } from './registration.ts'
import { memoryOfContext } from './request_memory.ts'
import { ProviderKey } from './signing_key.ts'
import { openAdapter } from './stores/index.ts'
import { secondsOf } from './stores/store.ts'
import { takeOver } from './take_over.ts'

const policyOf = (context: KoaContextWithOIDC) => {
  const { client } = context.oidc
  if (!client) throw new Error('a policy is a client’s')
  return factsOf(client).policy
}

export const buildProvider = (deps: ProviderDeps): Provider => {
  const { authServer, claims, keyring } = deps
  const { issuerUrl, pathPrefix } = authServer
  const signingAlgorithms = keptAlgorithms(authServer.spec.signingAlgorithms)
  const pairwiseKey = deriveKey(deps.rootSecret, 'pairwise_subjects')
  const knownScopes = ['openid', 'offline_access', ...Object.keys(claimsOfScope), ...deps.offered.scopes]
  const configuration: Configuration = {
    adapter: openAdapter(deps),
    jwks: { keys: keyring().keys.map((key) => new ProviderKey(key)) },
    routes: {
      authorization: '/oauth2/authorize',
      token: '/oauth2/token',
      userinfo: '/oauth2/userinfo',
      introspection: '/oauth2/introspect',
      revocation: '/oauth2/revoke',
      jwks: '/oauth2/jwks',
      pushed_authorization_request: '/oauth2/par',
      device_authorization: '/oauth2/device',
      code_verification: '/oauth2/device/verify',
      registration: '/oauth2/register',
      end_session: '/oauth2/end-session',
    },
    cookies: {
      names: { session: sessionCookieName, interaction: 'signet_interaction', resume: 'signet_resume' },
      long: sessionCookieAttributes(authServer),
      short: { httpOnly: true, sameSite: 'lax', secure: issuerUrl.startsWith('https:') },
    },
    scopes: knownScopes,
    claims: {
      openid: ['sub', ...claimsOfSignIn, ...claims.mappedNames],
      acr: null,
      sid: null,
      iss: null,
      ...Object.fromEntries(Object.entries(claimsOfScope).map(([scope, names]) => [scope, [...names]])),
    },
    acrValues: [...acrValues],
    subjectTypes: ['public', 'pairwise'],
    pairwiseIdentifier: (_context, accountId, client) =>
      createHmac('sha256', pairwiseKey)
        .update(`${issuerUrl}\n${String(client.sectorIdentifier)}\n${accountId}`)
        .digest('base64url'),
    responseTypes: ['code', 'id_token', 'code id_token', 'id_token token', 'code token', 'code id_token token', 'none'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
    clientDefaults: { id_token_signed_response_alg: 'ES256', token_endpoint_auth_method: 'client_secret_basic' },
    enabledJWA: {
      clientAuthSigningAlgValues: [
        'ES256',
        'PS256',
        'RS256',
        'EdDSA',
        'Ed25519',
        'ES384',
        'ES512',
        'PS384',
        'PS512',
        'HS256',
        'HS384',
        'HS512',
      ],
      requestObjectSigningAlgValues: ['ES256', 'PS256', 'RS256', 'EdDSA', 'Ed25519', 'ES384', 'ES512', 'PS384', 'PS512'],
      idTokenSigningAlgValues: [...signingAlgorithms],
      userinfoSigningAlgValues: [...signingAlgorithms],
      introspectionSigningAlgValues: [...signingAlgorithms],
      authorizationSigningAlgValues: [...signingAlgorithms],
      dPoPSigningAlgValues: ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
    },
    discovery: {
      claims_parameter_supported: true,
      // Registered for what our pages do.
      prompt_values_supported: ['none', 'login', 'consent', 'select_account'],
    },
    clockTolerance: 10,
    allowOmittingSingleRegisteredRedirectUri: false,
    findAccount: openAccounts({ db: deps.db, claims, access: deps.access }),
    loadExistingGrant: findExistingGrant(deps),
    interactions: { url: (_context, { uid }) => interactionPath(pathPrefix, uid), policy: prompts(deps.access) },
    features: {
      devInteractions: { enabled: false },
      externalSigningSupport: { enabled: true, ack: 'experimental-01' },
      clientCredentials: { enabled: true },
      claimsParameter: { enabled: true },
      dPoP: { enabled: true },
      backchannelLogout: { enabled: true },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      jwtIntrospection: { enabled: true },
      jwtResponseModes: { enabled: true },
      jwtUserinfo: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      requestObjects: { enabled: true },
      revocation: { enabled: true, allowedPolicy: mayRevoke },
      fapi: { enabled: true, profile: (_context, client) => (client && factsOf(client).policy.profile ? '2.0' : undefined) },
      resourceIndicators: {
        enabled: true,
        defaultResource: (context, client, oneOf) => {
          if (oneOf) return oneOf.length === 1 && oneOf[0] !== undefined ? oneOf[0] : [...oneOf]
          checkAskedScopes(context, client, knownScopes)
          // A person's token without a resource is for userinfo; a client's own is for what it calls.
          // Undefined is none, as in the library's own default, though its types know of no such answer; an empty list would be too many.
          return (isOwnToken(context.oidc) ? factsOf(client).resources[0] : undefined) as string
        },
        getResourceServerInfo: (context, indicator, client) => {
          const { resources, scopes, accessTokenFormat } = factsOf(client)
          if (!resources.includes(indicator)) throw new errors.InvalidTarget()
          checkAskedScopes(context, client, knownScopes)
          const ofResource = scopes.filter((scope) => !isOwnScope(scope))
          checkScopesOfResource(context, ofResource)
          return { scope: ofResource.join(' '), audience: indicator, accessTokenFormat }
        },
      },
      deviceFlow: { enabled: true, mask: '****-****', charset: 'base-20', ...deviceFlowPages(deps) },
      rpInitiatedLogout: { enabled: true, ...logoutPages(deps) },
      ...registration(deps),
    },
    // Session-bound unless offline_access was granted, so a sign-out ends them.
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: (context) => {
      const { policy } = factsOf(context.oidc.client ?? refuse())
      const token = context.oidc.entities.RefreshToken
      if (token && token.totalLifetime() >= policy.refreshTokenTTL) throw new errors.InvalidGrant('refresh token is expired')
      // FAPI 2.0 Security Profile section 5.3.2.1: bound to the client's key, it is not rotated.
      return policy.profile === undefined
    },
    pkce: { required: (_context, client) => client.tokenEndpointAuthMethod === 'none' || factsOf(client).requirePkce },
    clientBasedCORS: (_context, origin, client) =>
      origin !== 'null' && (client.redirectUris ?? []).some((uri) => URL.canParse(uri) && new URL(uri).origin === origin),
    ttl: {
      AccessToken: (context) => policyOf(context).accessTokenTTL,
      AuthorizationCode: (context) => policyOf(context).authorizationCodeTTL,
      ClientCredentials: (context) => policyOf(context).accessTokenTTL,
      DeviceCode: (context) => policyOf(context).deviceCodeTTL,
      IdToken: (context) => policyOf(context).idTokenTTL,
      // Of the family: what is left of it.
      RefreshToken: (context, token) => Math.max(1, policyOf(context).refreshTokenTTL - token.totalLifetime()),
      // To begin with: each refresh token that is stored makes it last as long.
      Grant: 2 * sessionSeconds,
      Interaction: 3600,
      // As long as the sign-in said; nobody's for as long as a request may wait for somebody.
      Session: (_context, session) =>
        session.accountId === undefined
          ? 3600
          : session.exp === undefined
            ? sessionSeconds
            : Math.max(1, session.exp - secondsOf(deps.clock())),
    },
    fetch: (url, options) => deps.outbound.fetch(url, options),
    fetchResponseBodyLimits: { jwks_uri: 256 * 1024, sector_identifier_uri: 256 * 1024 },
    renderError: (context, out) => {
      showPage(deps, context, 'error', {
        error: out.error,
        ...(out.error_description !== undefined && { error_description: out.error_description }),
      })
    },
  }
  const provider = new (providerWithOwnFormPost(deps))(issuerUrl, configuration)
  takeOver(provider, deps)
  return provider
}

const refuse = (): never => {
  throw new errors.InvalidClient('client is invalid')
}

const isOwnScope = (scope: string) => scope === 'openid' || scope === 'offline_access' || scope in claimsOfScope

/** Confidential clients may ask about any token of their issuer; public ones about their own. What a client that is gone or refused holds is worth nothing. */
const mayIntrospect = async (
  context: KoaContextWithOIDC,
  client: { clientId: string; tokenEndpointAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
) =>
  token.clientId === context.oidc.client?.clientId ||
  (client.tokenEndpointAuthMethod !== 'none' && (await context.oidc.provider.Client.find(String(token.clientId))) !== undefined)

/** Its own tokens; of others' it learns nothing, not even that they are there. */
const mayRevoke = (context: KoaContextWithOIDC, _client: unknown, token: { clientId?: string | undefined }) =>
  token.clientId === context.oidc.client?.clientId

/** What the ID token must say of the sign-in, undefined when it may say anything (OpenID Connect Core section 5.5.1.1). */
const essentialAcrs = (claims: ClaimsParameter | undefined): unknown[] | undefined => {
  const acr = claims?.id_token?.acr
  if (!acr?.essential) return undefined
  if (acr.values !== undefined) {
    if (!Array.isArray(acr.values)) throw new errors.InvalidRequest('invalid claims.id_token.acr.values type')
    return acr.values
  }
  return acr.value === undefined ? undefined : [acr.value]
}

/** What a request asks for beyond what any sign-in has. */
const wantedOf = ({ client, params }: KoaContextWithOIDC['oidc']) =>
  wantedAcrs(client ? factsOf(client).policy.acr : '1fa', String(params?.acr_values ?? '').split(' '))

const requiredFactors = ({ oidc: { client } }: KoaContextWithOIDC) => client && factsOf(client).policy.requiredFactors

const prompts = (access: ProviderDeps['access']) => {
  const { Check, Prompt, base } = interactionPolicy
  const policy = base()
  const consent = policy.get('consent')
  // Asked each time for programs that anyone may pretend to be (RFC 8252 section 8.6), but not for an operator's own.
  consent?.checks.remove('native_client_prompt')
  consent?.checks.add(
    new Check('native_client_prompt', 'native clients require End-User interaction', 'interaction_required', ({ oidc }) =>
      Boolean(
        oidc.client?.applicationType === 'native' &&
          oidc.params?.response_type !== 'none' &&
          !oidc.result?.consent &&
          factsOf(oidc.client).consent === 'required',
      ),
    ),
  )
  const login = policy.get('login')
  for (const reason of ['essential_acr', 'essential_acrs']) login?.checks.remove(reason)
  login?.checks.add(
    new Check(
      'essential_acr',
      'none of the requested ACRs could be obtained',
      ({ oidc }) => {
        const wanted = essentialAcrs(oidc.claims)
        return wanted === undefined || meetsAcr(oidc.acr, wanted) ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT
      },
      ({ oidc }) => ({ essential_acrs: essentialAcrs(oidc.claims), acr_values: reachableAcrs(essentialAcrs(oidc.claims) ?? []) }),
    ),
  )
  // RFC 9470 section 4, and what the client's policy demands.
  login?.checks.add(
    new Check(
      'acr_values',
      'a stronger sign-in is needed',
      ({ oidc }) => {
        const wanted = wantedOf(oidc)
        if (!wanted.values.length || meetsAcr(oidc.acr, wanted.values)) return Check.NO_NEED_TO_PROMPT
        // What was only wished for is asked once.
        return wanted.isDemanded || !oidc.result?.login ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT
      },
      ({ oidc }) => {
        const { values, isDemanded } = wantedOf(oidc)
        return { acr_values: values, ...(isDemanded ? { essential_acrs: values } : {}) }
      },
    ),
  )
  login?.checks.add(
    new Check(
      'required_factors',
      'a second factor of another type is needed',
      (context) => {
        const required = requiredFactors(context)
        return required === undefined || hasProven(required, memoryOfContext(context).loaded?.factors)
          ? Check.NO_NEED_TO_PROMPT
          : Check.REQUEST_PROMPT
      },
      (context) => ({ required_factors: requiredFactors(context) }),
    ),
  )
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0)
  // Once it is known who they are, and before they are asked to agree to anything. It never prompts: it passes or throws.
  policy.add(
    new Prompt(
      { name: 'access', requestable: false },
      new Check('access', 'the person may use the application', async (context) => {
        await access.check(context)
        return Check.NO_NEED_TO_PROMPT
      }),
    ),
    2,
  )
  return policy
}
