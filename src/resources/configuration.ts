/**
 * All resources that are in force, put into relation: which AuthServer answers where, which policies govern which client. Pure,
 * made anew at each change; a request only looks things up.
 */

import { type LabelSelector, selects } from '#/kinds/fields.ts'
import { type KindName, kindNames } from '#/kinds/index.ts'
import type { Resource } from '#/kinds/kind.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import { type EffectivePolicy, effectivePolicy } from '#/policy/effective_policy.ts'
import {
  type ResolvedClient as Client,
  renderViolations,
  resolveClient,
  unkeptAlgorithms,
  type Violation,
  violations,
} from '#/policy/resolved_client.ts'
import { outpostClientOf } from './outpost_client.ts'
import { keyOf, type ResourceOf } from './resource.ts'

export interface ResolvedAuthServer extends AuthServerRef {
  readonly resource: ResourceOf<'AuthServer'>
  readonly spec: ResourceOf<'AuthServer'>['spec']
  readonly displayName: string
  /** Host of issuerUrl with its port, lower case. */
  readonly host: string
  /** AuthPolicies selected, before any clientSelector. */
  readonly policies: readonly ResourceOf<'AuthPolicy'>[]
  /** Of the policies that govern every client; clients may have stricter ones. */
  readonly policy: EffectivePolicy
  /** Undefined: not offered. */
  readonly dynamicRegistration: { readonly initialAccessToken: boolean } | undefined
  readonly userStore: ResourceOf<'UserStore'> | undefined
  readonly claimMappers: readonly ResourceOf<'ClaimMapper'>[]
  /** Why it does not serve; undefined when it does. */
  readonly problem: Problem | undefined
}

export interface ResolvedClient extends Client<ResourceOf<'AuthClient'>> {
  /** The Application behind an outpost whose client it is, which has no resource of its own. */
  readonly application: ResourceOf<'Application'> | undefined
  readonly authServer: ResolvedAuthServer | undefined
  /** Why it is refused; undefined when it is not. */
  readonly problem: Problem | undefined
}

/** Why something is not Ready. */
export interface Problem {
  readonly reason: string
  readonly message: string
  /** Fields at fault; a manifest that leads to them is refused. Empty: it may come right by itself. */
  readonly errors: readonly { pointer: string; detail: string }[]
}

export interface Configuration {
  readonly resources: ReadonlyMap<string, Resource>
  readonly byKind: ReadonlyMap<string, readonly Resource[]>
  /** Longest path first. */
  readonly authServers: readonly ResolvedAuthServer[]
  readonly authServerByKey: ReadonlyMap<string, ResolvedAuthServer>
  readonly clients: ReadonlyMap<string, ResolvedClient>
  /** Clients of an AuthServer by client_id. */
  readonly clientsById: ReadonlyMap<string, ReadonlyMap<string, ResolvedClient>>
  /** Who is governed by a policy, by the policy's key. */
  readonly governed: ReadonlyMap<string, readonly ResolvedClient[]>
}

const problem = (reason: string, message: string, errors: Problem['errors'] = []): Problem => ({ reason, message, errors })

const nameOf = ({ metadata }: Resource): string => `${metadata.namespace}/${metadata.name}`

/** `list` in the order of creation: of two that claim the same, the older keeps it. */
export const compileConfiguration = (list: Iterable<Resource>): Configuration => {
  const resources = new Map<string, Resource>()
  const byKind = new Map<string, Resource[]>(kindNames.map((kind) => [kind, []]))
  for (const resource of list) {
    resources.set(keyOf(resource.kind, resource.metadata.namespace, resource.metadata.name), resource)
    byKind.get(resource.kind)?.push(resource)
  }
  const all = <Name extends KindName>(kind: Name) => (byKind.get(kind) ?? []) as unknown as ResourceOf<Name>[]
  const find = <Name extends KindName>(kind: Name, namespace: string, name: string) =>
    resources.get(keyOf(kind, namespace, name)) as unknown as ResourceOf<Name> | undefined

  const authServers = resolveAuthServers({ all, find })
  const authServerByKey = new Map(authServers.map((server) => [`${server.namespace}/${server.name}`, server]))

  const clients = new Map<string, ResolvedClient>()
  const clientsById = new Map<string, Map<string, ResolvedClient>>()
  const governed = new Map<string, ResolvedClient[]>()
  const policyOf = openPolicies()
  const behindOutposts = all('Application').flatMap((application) => outpostClientOf(application) ?? [])
  for (const { resource, application } of [
    ...all('AuthClient').map((resource) => ({ resource, application: undefined })),
    ...behindOutposts,
  ]) {
    const { spec, metadata } = resource
    const serverName = `${spec.authServerRef.namespace ?? metadata.namespace}/${spec.authServerRef.name}`
    const authServer = authServerByKey.get(serverName)
    const policies = (authServer?.policies ?? []).filter((policy) => selectsClient(policy, metadata.labels))
    const client = resolveClient(resource, policyOf(policies))
    const ofServer = clientsById.get(serverName) ?? new Map<string, ResolvedClient>()
    const taken = ofServer.get(client.clientId)
    const resolved = { ...client, application, authServer, problem: clientProblem(client, authServer, serverName, taken) }
    clients.set(nameOf(resource as unknown as Resource), resolved)
    for (const policy of policies) {
      const name = nameOf(policy as unknown as Resource)
      const others = governed.get(name)
      if (others) others.push(resolved)
      else governed.set(name, [resolved])
    }
    if (taken || !authServer) continue
    ofServer.set(client.clientId, resolved)
    clientsById.set(serverName, ofServer)
  }
  return { resources, byKind, authServers, authServerByKey, clients, clientsById, governed }
}

interface Lookup {
  all: <Name extends KindName>(kind: Name) => ResourceOf<Name>[]
  find: <Name extends KindName>(kind: Name, namespace: string, name: string) => ResourceOf<Name> | undefined
}

const selectsClient = ({ spec }: ResourceOf<'AuthPolicy'>, labels: Record<string, string>): boolean =>
  spec.clientSelector === undefined || selects(spec.clientSelector, labels)

/** Clients governed by the same policies share one effective policy. */
const openPolicies = () => {
  const known = new Map<string, EffectivePolicy>()
  return (policies: readonly ResourceOf<'AuthPolicy'>[]): EffectivePolicy => {
    const names = policies.map((policy) => nameOf(policy as unknown as Resource))
    const key = names.join(' ')
    let policy = known.get(key)
    if (!policy) {
      policy = effectivePolicy(policies.map(({ spec }, index) => ({ name: names[index] ?? '', spec })))
      known.set(key, policy)
    }
    return policy
  }
}

const selectedPolicies = ({ spec, metadata }: ResourceOf<'AuthServer'>, { all }: Lookup): ResourceOf<'AuthPolicy'>[] => {
  const selector = spec.policySelector
  if (!selector) return []
  const namespaces = spec.policyNamespaces ?? [metadata.namespace]
  return all('AuthPolicy').filter(
    (policy) => (namespaces.includes('*') || namespaces.includes(policy.metadata.namespace)) && selects(selector, policy.metadata.labels),
  )
}

const resolveAuthServers = (lookup: Lookup): ResolvedAuthServer[] => {
  const { all, find } = lookup
  const byIssuer = new Map<string, ResourceOf<'AuthServer'>>()
  const mappers = Map.groupBy(
    all('ClaimMapper'),
    ({ spec, metadata }) => `${spec.authServerRef.namespace ?? metadata.namespace}/${spec.authServerRef.name}`,
  )
  const servers = all('AuthServer').map((resource): ResolvedAuthServer => {
    const { spec, metadata } = resource
    const issuerUrl = spec.issuerUrl.replace(/\/$/, '')
    const url = new URL(issuerUrl)
    const policies = selectedPolicies(resource, lookup)
    const general = policies.filter((policy) => policy.spec.clientSelector === undefined)
    const registration = general.map((policy) => policy.spec.dynamicRegistration)
    const ref = spec.userStoreRef
    const userStore = ref
      ? find('UserStore', ref.namespace ?? metadata.namespace, ref.name)
      : (find('UserStore', metadata.namespace, 'default') ?? find('UserStore', 'default', 'default'))
    const taken = byIssuer.get(issuerUrl)
    if (!taken) byIssuer.set(issuerUrl, resource)
    return {
      namespace: metadata.namespace,
      name: metadata.name,
      issuerUrl,
      pathPrefix: url.pathname.replace(/\/$/, ''),
      host: url.host,
      resource,
      spec,
      displayName: spec.displayName ?? 'Signet',
      policies,
      policy: effectivePolicy(general.map((policy) => ({ name: nameOf(policy as unknown as Resource), spec: policy.spec }))),
      dynamicRegistration:
        registration.length && registration.every((offer) => offer?.enabled)
          ? { initialAccessToken: registration.some((offer) => offer?.initialAccessToken) }
          : undefined,
      userStore,
      claimMappers: mappers.get(`${metadata.namespace}/${metadata.name}`) ?? [],
      problem: authServerProblem(resource, userStore, taken),
    }
  })
  return servers.sort((a, b) => b.pathPrefix.length - a.pathPrefix.length)
}

const authServerProblem = (
  { spec }: ResourceOf<'AuthServer'>,
  userStore: ResourceOf<'UserStore'> | undefined,
  taken: ResourceOf<'AuthServer'> | undefined,
): Problem | undefined => {
  if (taken) {
    const detail = `is the issuer of AuthServer ${taken.metadata.namespace}/${taken.metadata.name} already`
    return problem('IssuerConflict', `spec.issuerUrl: ${spec.issuerUrl} ${detail}`, [{ pointer: '/spec/issuerUrl', detail }])
  }
  if (!userStore) return problem('UserStoreNotFound', `there is no UserStore ${spec.userStoreRef?.name ?? 'default'}`)
  const store = userStoreProblem(userStore)
  return store && problem('UserStoreNotReady', `UserStore ${userStore.metadata.name}: ${store.message}`)
}

export const userStoreProblem = ({ spec }: ResourceOf<'UserStore'>): Problem | undefined =>
  spec.type === 'ldap'
    ? problem(
        'TypeNotServed',
        `this version does not serve LDAP directories (${spec.ldap?.server ?? spec.ldap?.directoryRef?.name ?? 'no server'})`,
      )
    : undefined

const admits = (
  allowed: { names?: string[] | undefined; selector?: LabelSelector | undefined } | undefined,
  namespace: string,
): boolean => {
  if (!allowed) return true
  if (allowed.names?.includes(namespace)) return true
  return allowed.selector !== undefined && selects(allowed.selector, { 'kubernetes.io/metadata.name': namespace })
}

const clientProblem = (
  client: Client<ResourceOf<'AuthClient'>>,
  authServer: ResolvedAuthServer | undefined,
  serverName: string,
  taken: ResolvedClient | undefined,
): Problem | undefined => {
  const { namespace } = client.resource.metadata
  if (!authServer) return problem('AuthServerNotFound', `there is no AuthServer ${serverName}`)
  if (!admits(authServer.spec.allowedNamespaces, namespace)) {
    const detail = `AuthServer ${serverName} does not allow clients of namespace ${namespace}`
    return problem('NamespaceNotAllowed', detail, [{ pointer: '/spec/authServerRef', detail }])
  }
  if (taken) {
    const detail = `is the client_id of ${taken.resource.metadata.namespace}/${taken.resource.metadata.name} already`
    return problem('ClientIdConflict', `spec.clientId: ${client.clientId} ${detail}`, [{ pointer: '/spec/clientId', detail }])
  }
  const found = violations(client)
  if (found.length) return problem('PolicyViolation', renderViolations(found), fieldsOf(found))
  const unkept = unkeptAlgorithms(client.resource, authServer.spec.signingAlgorithms)
  if (unkept.length) return problem('AlgorithmNotKept', renderViolations(unkept), fieldsOf(unkept))
  if (authServer.problem) return problem('AuthServerNotReady', `AuthServer ${serverName}: ${authServer.problem.message}`)
  return undefined
}

const fieldsOf = (found: readonly Violation[]) =>
  found.map((violation) => ({ pointer: pointerOf(violation), detail: `${violation.value} ${violation.detail}` }))

export const pointerOf = ({ field }: Pick<Violation, 'field'>): string => `/${field.replaceAll('.', '/')}`
