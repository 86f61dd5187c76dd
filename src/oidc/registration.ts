/** Clients that register themselves (RFC 7591, RFC 7592): offered where the policies of the issuer let them, and held to them like any other. */
import { type Client, type ClientMetadata, type Configuration, errors, type Provider } from 'oidc-provider'
import { randomToken, sha256 } from '#/lib/crypto.ts'
import type { EffectivePolicy } from '#/policy/effective_policy.ts'
import { secretMethodOf } from '#/policy/resolved_client.ts'
import { rememberKeyFailures } from './client_keys.ts'
import { demands, scopesOf } from './client_metadata.ts'
import { type ClientClass, makeClient, setFacts } from './clients.ts'
import type { ProviderDeps } from './deps.ts'

export const registration = ({
  authServer,
}: ProviderDeps): Pick<NonNullable<Configuration['features']>, 'registration' | 'registrationManagement'> => ({
  registration: {
    enabled: authServer.dynamicRegistration !== undefined,
    // Who may is asked before the library is: see registration_access.ts.
    initialAccessToken: false,
    idFactory: () => `registered.${randomToken(12)}`,
    secretFactory: () => randomToken(),
  },
  registrationManagement: { enabled: authServer.dynamicRegistration !== undefined, rotateRegistrationAccessToken: false },
})

/** Finds a client that registered itself, as its policy lets it be now: what was registered under a policy since narrowed is narrowed too. */
export const registeredClient = ({ clients, authServer, clock }: ProviderDeps) => {
  const kept = new Map<string, { text: string; client: Client }>()
  const largestCache = 1_000
  return async (Class: ClientClass, client_id: string): Promise<Client | undefined> => {
    if (authServer.dynamicRegistration === undefined) return undefined
    const metadata = await clients.findRegistered(client_id)
    if (!metadata) return undefined
    const text = JSON.stringify(metadata)
    const known = kept.get(client_id)
    if (known?.text === text) return known.client
    const { policy } = authServer
    if (outside(metadata, policy)) return undefined
    const scoped = withScopes(metadata, policy)
    const client = makeClient(Class, demands(scoped, policy))
    rememberKeyFailures(client, clock)
    if (metadata.sector_identifier_uri !== undefined) await Class.validate(metadata)
    giveFacts(client, scoped, policy)
    if (kept.size >= largestCache) kept.delete(kept.keys().next().value as string)
    kept.set(client_id, { text, client })
    return client
  }
}

/** A client that names no scopes has those of the policy (RFC 7591 section 2). */
const withScopes = (metadata: ClientMetadata, { allowedScopes }: EffectivePolicy): ClientMetadata =>
  metadata.scope === undefined && allowedScopes ? { ...metadata, scope: allowedScopes.join(' ') } : metadata

export const giveFacts = (client: Client, metadata: ClientMetadata, policy: EffectivePolicy): void => {
  setFacts(client, {
    policy,
    accessTokenFormat: 'jwt',
    consent: 'required',
    requirePkce: policy.enforcePKCE,
    resources: [],
    ownResources: [],
    labels: {},
    scopes: metadata.scope?.split(' ') ?? [],
    secrets: metadata.client_secret === undefined ? [] : [{ hash: sha256(metadata.client_secret), expiresAt: undefined }],
    secretMethod: secretMethodOf(metadata.token_endpoint_auth_method, policy),
  })
}

/** The first thing in which metadata stands outside a policy. */
export const outside = (metadata: ClientMetadata, policy: EffectivePolicy): string | undefined => {
  const grants = metadata.grant_types ?? ['authorization_code']
  const refusedGrant = grants.find((grant) => !(policy.allowedGrantTypes as readonly string[]).includes(grant))
  if (refusedGrant !== undefined) return `grant_types: ${refusedGrant} is not allowed`
  const types = metadata.response_types ?? ['code']
  const known = new Set(policy.allowedResponseTypes.map((type) => type.split(' ').sort().join(' ')))
  const refusedType = types.find((type) => !known.has(type.split(' ').sort().join(' ')))
  if (refusedType !== undefined) return `response_types: ${refusedType} is not allowed`
  const method = metadata.token_endpoint_auth_method ?? 'client_secret_basic'
  if (!(policy.authMethods as readonly string[]).includes(method)) return `token_endpoint_auth_method: ${method} is not allowed`
  const scopes = metadata.scope?.split(' ') ?? []
  const allowed = scopesOf(scopes, policy)
  const refusedScope = scopes.find((scope) => !allowed.includes(scope))
  return refusedScope === undefined ? undefined : `scope: ${refusedScope} is not allowed`
}

/** Holds what someone registers to the issuer's policy, before it is stored. */
export const checkRegistration = (provider: Provider, { authServer: { policy } }: Pick<ProviderDeps, 'authServer'>): void => {
  const { Schema } = provider.Client as unknown as { Schema: { prototype: { scopes(): void } } }
  const { scopes } = Schema.prototype
  Schema.prototype.scopes = function checkScopes(this: ClientMetadata) {
    const refused = outside(this, policy)
    if (refused !== undefined && String(this.client_id).startsWith('registered.')) throw new errors.InvalidClientMetadata(refused)
    scopes.call(this as never)
  }
}
