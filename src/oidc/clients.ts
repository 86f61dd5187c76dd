/**
 * Clients of one issuer: those of the configuration, found in the snapshot, and those that registered themselves. A client is made once for
 * the provider that it belongs to, and kept until its resource, its policy or its secrets change, so that a request makes and reads nothing.
 */
import { createSecretKey, timingSafeEqual } from 'node:crypto'
import type { Client, ClientMetadata, Provider } from 'oidc-provider'
import { errors } from 'oidc-provider'
import type { Clock } from '#/lib/clock.ts'
import { sha256, type Vault } from '#/lib/crypto.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { findRegisteredClient, useRegisteredClient } from '#/model/registered_clients.ts'
import type { EffectivePolicy } from '#/policy/effective_policy.ts'
import type { SecretMethod } from '#/policy/resolved_client.ts'
import { type ClientSecret, findClientSecrets } from '#/resources/client_secrets.ts'
import { outpostClientSecret, outpostOf } from '#/resources/outpost_client.ts'
import type { ResolvedAuthServer, ResolvedClient, Snapshot } from '#/resources/snapshot.ts'
import { rememberKeyFailures } from './client_keys.ts'
import { clientMetadata } from './client_metadata.ts'

export interface ClientDeps {
  db: Db
  log: Log
  clock: Clock
  snapshot: Snapshot
  rootSecret: Secret
}

/** What we know of a client beside its metadata. */
export interface ClientFacts {
  policy: EffectivePolicy
  accessTokenFormat: 'jwt' | 'opaque'
  consent: 'required' | 'implicit'
  requirePkce: boolean
  /** Which it may ask tokens for. */
  resources: readonly string[]
  /** Which it is. */
  ownResources: readonly string[]
  /** For mappers: as expressions see it. */
  labels: Readonly<Record<string, string>>
  scopes: readonly string[]
  secrets: ClientSecretHash[]
  /** The one way in which it may show one of them. Undefined: either (RFC 6749 section 2.3.1). */
  secretMethod: SecretMethod | undefined
}

interface ClientSecretHash {
  hash: Buffer
  expiresAt: Date | undefined
}

const facts = new WeakMap<Client, ClientFacts>()

export const factsOf = (client: Client): ClientFacts => {
  const known = facts.get(client)
  if (!known) throw new Error(`client ${client.clientId} was not made by us`)
  return known
}

/** Of these scopes, those that the client may have now. One that registered itself under no policy on scopes, and named none, may have any. */
export const stillAllowed = (client: Client, scopes: readonly string[]): string[] =>
  client.scope ? scopes.filter((scope) => factsOf(client).scopes.includes(scope)) : [...scopes]

export const setFacts = (client: Client, known: ClientFacts): void => {
  facts.set(client, known)
}

/** With an empty `scope`, which the library takes for a mistake, and without one for any: one that may have none. No scope is called so. */
export const makeClient = (Class: ClientClass, { scope, ...metadata }: ClientMetadata) =>
  scope === '' ? Object.assign(new Class(metadata), { scope: ' ' }) : new Class({ ...metadata, ...(scope !== undefined && { scope }) })

/** The parts of the library's Client class that its types leave out. */
export interface ClientClass {
  new (metadata: ClientMetadata): Client & { symmetricKeyStore: { add(key: object): void } }
  prototype: Client
  find(id: string): Promise<Client | undefined>
  validate(metadata: ClientMetadata): Promise<void>
}

export const clientClassOf = (provider: Provider): ClientClass => provider.Client as unknown as ClientClass

interface Kept {
  resolved: ResolvedClient
  client: Client
  readAt: number
}

/** Secrets are read anew after this long, and at once when one did not match. */
const secretsAgeMs = 60_000
const retryAfterMs = 1_000
/** That a registered client is used is written down no oftener. */
const usedEveryMs = 24 * 3_600_000

export const openClients = (
  deps: ClientDeps,
  authServer: Pick<ResolvedAuthServer, 'namespace' | 'name' | 'issuerUrl'>,
  registered: Vault,
) => {
  const kept = new Map<string, Kept>()
  const making = new Map<string, Promise<Client | undefined>>()

  const secretAtOutpost = (application: NonNullable<ResolvedClient['application']>, clientId: string) =>
    outpostClientSecret(deps.rootSecret, { issuerUrl: authServer.issuerUrl, clientId, outpost: outpostOf(application) })

  const secretsOf = async ({ resource, usesSecret, application, clientId }: ResolvedClient, now: Date): Promise<ClientSecret[]> => {
    const { namespace, name } = resource.metadata
    if (!usesSecret) return []
    return application
      ? [{ secret: secretAtOutpost(application, clientId), createdAt: now, expiresAt: undefined }]
      : await findClientSecrets(deps.db, deps.rootSecret, namespace, name, now)
  }

  const make = async (Class: ClientClass, resolved: ResolvedClient): Promise<Client | undefined> => {
    const now = deps.clock()
    const secrets = await secretsOf(resolved, now)
    if (resolved.usesSecret && !secrets.length) {
      deps.log.warn({ event: 'oidc.client.without_secret', client_id: resolved.clientId }, 'a client has no secret')
      return undefined
    }
    const values = secrets.map(({ secret, expiresAt }) => ({ value: secret.reveal(), expiresAt }))
    const metadata = clientMetadata(resolved, values[0]?.value)
    const client = makeClient(Class, metadata)
    // An outpost hears of ended sessions by the name that its client knows them by.
    if (resolved.application) client.includeSid = () => true
    rememberKeyFailures(client, deps.clock)
    if (metadata.sector_identifier_uri !== undefined) await Class.validate(metadata)
    // A secret that is being replaced still signs assertions.
    for (const { value } of values.slice(1))
      if (resolved.tokenEndpointAuthMethod === 'client_secret_jwt')
        client.symmetricKeyStore.add({ alg: 'HS256', use: 'sig', ...createSecretKey(Buffer.from(value)).export({ format: 'jwk' }) })
    const { spec, metadata: meta } = resolved.resource
    setFacts(client, {
      policy: resolved.policy,
      accessTokenFormat: spec.accessTokenFormat,
      consent: spec.consent === 'implicit' && !resolved.policy.requireConsent ? 'implicit' : 'required',
      requirePkce: spec.requirePkce ?? resolved.policy.enforcePKCE,
      resources: spec.resources ?? [],
      ownResources: spec.ownResources ?? [],
      labels: meta.labels,
      scopes: metadata.scope?.split(' ') ?? [],
      secrets: values.map(({ value, expiresAt }) => ({ hash: sha256(value), expiresAt })),
      secretMethod: resolved.secretMethod,
    })
    kept.set(resolved.clientId, { resolved, client, readAt: now.getTime() })
    return client
  }

  const makeOnce = (Class: ClientClass, resolved: ResolvedClient): Promise<Client | undefined> => {
    let made = making.get(resolved.clientId)
    if (!made) {
      made = make(Class, resolved)
        .catch((error: Error) => {
          deps.log.error(
            {
              event: 'configuration.error',
              client_id: resolved.clientId,
              error: error.message,
              detail: (error as { error_description?: string }).error_description,
            },
            'a client can not be served',
          )
          if (error instanceof errors.InvalidClientMetadata) return undefined
          throw error
        })
        .finally(() => making.delete(resolved.clientId))
      making.set(resolved.clientId, made)
    }
    return made
  }

  const isSame = (entry: Kept | undefined, resolved: ResolvedClient, nowMs: number): entry is Kept => {
    if (entry === undefined || (resolved.usesSecret && nowMs - entry.readAt >= secretsAgeMs)) return false
    if (entry.resolved === resolved) return true
    // Something else of the configuration changed.
    if (entry.resolved.resource.metadata.resourceVersion !== resolved.resource.metadata.resourceVersion) return false
    if (!samePolicy(entry.resolved.policy, resolved.policy)) return false
    entry.resolved = resolved
    return true
  }

  return {
    /** Undefined for one that is unknown here, or refused. */
    find: async (Class: ClientClass, client_id: string): Promise<Client | undefined> => {
      const resolved = deps.snapshot.clientById(authServer.namespace, authServer.name, client_id)
      if (resolved) {
        if (resolved.problem) return undefined
        const entry = kept.get(client_id)
        return isSame(entry, resolved, deps.clock().getTime()) ? entry.client : await makeOnce(Class, resolved)
      }
      kept.delete(client_id)
      return undefined
    },
    /** One that is made already and current; it changes nothing and reads nothing. */
    ready: (client_id: string): Client | undefined => {
      const resolved = deps.snapshot.clientById(authServer.namespace, authServer.name, client_id)
      if (!resolved || resolved.problem) return undefined
      const entry = kept.get(client_id)
      return isSame(entry, resolved, deps.clock().getTime()) ? entry.client : undefined
    },
    /** Whether a secret is one of the client's, in a time that does not tell how near it came. A new one may have been made a moment ago. */
    hasSecret: async (Class: ClientClass, client: Client, secret: string): Promise<boolean> => {
      const now = deps.clock()
      if (matches(factsOf(client), secret, now)) return true
      const entry = kept.get(client.clientId)
      if (entry?.client !== client || now.getTime() - entry.readAt < retryAfterMs) return false
      const fresh = await makeOnce(Class, entry.resolved)
      return fresh !== undefined && matches(factsOf(fresh), secret, now)
    },
    findRegistered: async (client_id: string): Promise<ClientMetadata | undefined> => {
      const row = await findRegisteredClient(deps.db, { client_id, issuer: authServer.issuerUrl })
      if (!row) return undefined
      const now = deps.clock()
      if (now.getTime() - (row.last_used_at?.getTime() ?? 0) > usedEveryMs) await useRegisteredClient(deps.db, client_id, now)
      const secret = row.sealed_secret ? registered.open(row.sealed_secret, client_id).toString() : undefined
      return { ...row.metadata, client_id, ...(secret !== undefined && { client_secret: secret }) }
    },
  }
}

export type Clients = ReturnType<typeof openClients>

/** Every secret is compared, whichever matches. */
export const matches = ({ secrets }: Pick<ClientFacts, 'secrets'>, secret: string, now: Date): boolean => {
  const given = sha256(secret)
  let found = false
  for (const { hash, expiresAt } of secrets) if (timingSafeEqual(hash, given) && (expiresAt === undefined || expiresAt > now)) found = true
  return found
}

const samePolicy = (one: EffectivePolicy, other: EffectivePolicy) => one === other || JSON.stringify(one) === JSON.stringify(other)
