/** What status says of a resource. Pure; Ready never stands for what is not. */
import type { KindName } from '#/kinds/index.ts'
import type { Condition, Resource, Status } from '#/kinds/kind.ts'
import { namesOf, parseChain } from '#/lib/certificate.ts'
import type { ResourceRow } from '#/model/resources.ts'
import { renderEffectivePolicy } from '#/policy/effective_policy.ts'
import { violations } from '#/policy/resolved_client.ts'
import { type Configuration, type Problem, type ResolvedClient, userStoreProblem } from './configuration.ts'
import { guardProblem } from './guard_problem.ts'
import { clientOfApplication, outpostOf } from './outpost_client.ts'
import { keyOf, type Parsed, type ResourceOf } from './resource.ts'

interface Finding {
  reason: string
  message: string
  ready: boolean
  /** Further fields of status. */
  facts?: Record<string, unknown>
}

const ready = (reason: string, message: string, facts: Record<string, unknown> = {}): Finding => ({ reason, message, ready: true, facts })

const notReady = ({ reason, message }: Omit<Problem, 'errors'>, facts: Record<string, unknown> = {}): Finding => ({
  reason,
  message,
  ready: false,
  facts,
})

/** Many clients make a long list; the count tells how many there are. */
const mostListed = 100

const named = ({ metadata }: { metadata: { namespace: string; name: string } }) => ({ namespace: metadata.namespace, name: metadata.name })

/** People and groups live in tables of their own, and are there as soon as they are written. */
type ConfigurationKind = Exclude<KindName, 'User' | 'Group'>

const finders: Record<ConfigurationKind, (resource: Resource, configuration: Configuration, now: Date) => Finding> = {
  UserStore: (resource) => {
    // Kinds are told apart by their names; the compiler can't follow that through a Map.
    const found = userStoreProblem(resource as unknown as ResourceOf<'UserStore'>)
    return found ? notReady(found) : ready('Available', 'people live in PostgreSQL')
  },

  AuthServer: ({ metadata }, { authServerByKey }) => {
    const server = authServerByKey.get(`${metadata.namespace}/${metadata.name}`)
    if (!server) return notReady({ reason: 'NotServed', message: 'it is not in force' })
    const facts = {
      issuer: server.issuerUrl,
      policies: server.policies.map(named),
      effectivePolicy: renderEffectivePolicy(server.policy),
    }
    return server.problem
      ? notReady(server.problem, facts)
      : ready(
          'Serving',
          server.policies.length
            ? `${server.policies.length} AuthPolicies selected`
            : 'no AuthPolicy is selected: the strict built-in policy governs',
          facts,
        )
  },

  Flow: ({ metadata }, { authServers, resources }) => {
    const { namespace, name } = metadata
    const offering = authServers.filter((server) => !server.problem && (namespace === 'default' || server.namespace === namespace))
    // One of namespace default answers wherever there is none of that name; like a policy that governs nobody yet, it is in force.
    if (namespace !== 'default' && !offering.length)
      return notReady({ reason: 'AuthServerNotFound', message: `no AuthServer of namespace ${namespace} is in force` })
    const hidden = offering.filter((server) => server.namespace !== namespace && resources.has(keyOf('Flow', server.namespace, name)))
    const count = offering.length - hidden.length
    return ready('InForce', `answers at /flow/${name} of ${count} ${count === 1 ? 'AuthServer' : 'AuthServers'}`)
  },

  AuthClient: ({ metadata }, { clients }) => {
    const client = clients.get(`${metadata.namespace}/${metadata.name}`)
    if (!client) return notReady({ reason: 'NotServed', message: 'it is not in force' })
    const facts = {
      clientId: client.clientId,
      ...(client.authServer ? { issuer: client.authServer.issuerUrl, effectivePolicy: renderEffectivePolicy(client.policy) } : {}),
    }
    if (client.problem) return notReady(client.problem, facts)
    return ready('ClientProvisioned', 'the client may use its AuthServer', {
      ...facts,
      ...(client.usesSecret ? { clientSecretRef: { name: `${metadata.name}-client-secret` } } : {}),
    })
  },

  AuthPolicy: ({ metadata }, { governed }) => {
    const clients = governed.get(`${metadata.namespace}/${metadata.name}`) ?? []
    const outside = clients.flatMap((client) => violationOf(client))
    return ready(
      'InForce',
      `governs ${clients.length} ${clients.length === 1 ? 'client' : 'clients'}, of which ${outside.length} stand outside`,
      {
        governed: { count: clients.length, clients: clients.slice(0, mostListed).map(({ resource }) => named(resource)) },
        violations: outside.slice(0, mostListed),
      },
    )
  },

  KeyPair: (resource, _configuration, now) => {
    const [certificate] = parseChain((resource as unknown as ResourceOf<'KeyPair'>).spec.certificate)
    const names = namesOf(certificate)
    const notBefore = certificate.validFromDate.toISOString()
    const notAfter = certificate.validToDate.toISOString()
    const facts = {
      dnsNames: names.dns,
      ipAddresses: names.ip,
      subject: certificate.subject.slice(0, 1_000),
      issuer: certificate.issuer.slice(0, 1_000),
      serialNumber: certificate.serialNumber,
      fingerprint256: certificate.fingerprint256,
      notBefore,
      notAfter,
    }
    if (certificate.validToDate <= now)
      return notReady({ reason: 'Expired', message: `the certificate was valid until ${notAfter}` }, facts)
    if (certificate.validFromDate > now)
      return notReady({ reason: 'NotYetValid', message: `the certificate is valid from ${notBefore}` }, facts)
    return ready('Valid', `the certificate is valid until ${notAfter}`, facts)
  },

  Role: () => ready('InForce', 'its rules are in force'),

  ClaimMapper: (resource, { authServerByKey }) => {
    const { spec, metadata } = resource as unknown as ResourceOf<'ClaimMapper'>
    const server = `${spec.authServerRef.namespace ?? metadata.namespace}/${spec.authServerRef.name}`
    return authServerByKey.has(server)
      ? ready('InForce', `adds to the tokens of AuthServer ${server}`)
      : notReady({ reason: 'AuthServerNotFound', message: `there is no AuthServer ${server}` })
  },

  Outpost: ({ metadata }, { byKind }) => {
    const guarded = ((byKind.get('Application') ?? []) as unknown as ResourceOf<'Application'>[]).filter(
      (application) => outpostOf(application) === `${metadata.namespace}/${metadata.name}`,
    )
    return ready('InForce', `guards ${guarded.length} ${guarded.length === 1 ? 'application' : 'applications'}`, {
      applications: { count: guarded.length, applications: guarded.slice(0, mostListed).map(named) },
    })
  },

  Application: (resource, configuration) => {
    const { authServerByKey, clients } = configuration
    const { spec, metadata } = resource as unknown as ResourceOf<'Application'>
    const server = `${spec.authServerRef.namespace ?? metadata.namespace}/${spec.authServerRef.name}`
    if (!authServerByKey.has(server)) return notReady({ reason: 'AuthServerNotFound', message: `there is no AuthServer ${server}` })
    const ref = spec.authClientRef
    const clientName = ref && `${ref.namespace ?? metadata.namespace}/${ref.name}`
    const client = clientOfApplication({ client: (namespace, name) => clients.get(`${namespace}/${name}`) }, { metadata, spec })
    if (clientName !== undefined && !client)
      return notReady({ reason: 'AuthClientNotFound', message: `there is no AuthClient ${clientName}` })
    if (spec.proxy) {
      const problem = guardProblem({ metadata, spec }, configuration)
      return problem ? notReady(problem) : ready('Guarded', `${guardOf({ metadata, spec })} guards ${spec.proxy.externalUrl}`)
    }
    if (client?.problem) return notReady({ reason: 'AuthClientNotReady', message: `AuthClient ${clientName}: ${client.problem.message}` })
    return ready('Shown', 'people find it in the portal')
  },
}

const guardOf = (application: Pick<ResourceOf<'Application'>, 'metadata' | 'spec'>): string => {
  const outpost = outpostOf(application)
  return outpost === undefined ? 'the outpost of the server' : `Outpost ${outpost}`
}

const violationOf = (client: ResolvedClient) => {
  const found = violations(client)
  return found.length ? [{ ...named(client.resource), fields: found.map(({ field, value }) => `${field}: ${value}`) }] : []
}

const findingOf = (row: ResourceRow, parsed: Parsed, configuration: Configuration, now: Date): Finding => {
  if (parsed.kind === 'broken') return notReady({ reason: 'NotUnderstood', message: parsed.problem.slice(0, 1_000) })
  if (parsed.kind === 'inactive') return notReady({ reason: 'Paused', message: 'it was made paused, and never was in force' })
  const resource = configuration.resources.get(keyOf(row.kind, row.namespace, row.name))
  // The table holds no other kinds; those of a newer version are broken, which was said above.
  const find = finders[row.kind as ConfigurationKind]
  return resource ? find(resource, configuration, now) : notReady({ reason: 'NotServed', message: 'it is not in force' })
}

/** The status as it should be stored: equal to the one before when nothing about it changed. */
export const nextStatus = (row: ResourceRow, parsed: Parsed, configuration: Configuration, now: Date): Status => {
  const { ready: isReady, reason, message, facts = {} } = findingOf(row, parsed, configuration, now)
  const observedGeneration = Number(row.active_generation ?? row.generation)
  const isPaused = row.spec.paused === true
  const before = (row.status as Status).conditions ?? []
  const condition = (type: string, status: Condition['status'], why: { reason: string; message: string }): Condition => {
    const old = before.find((known) => known.type === type)
    return {
      type,
      status,
      ...why,
      lastTransitionTime: old?.status === status ? old.lastTransitionTime : now.toISOString(),
      observedGeneration,
    }
  }
  return JSON.parse(
    JSON.stringify({
      observedGeneration,
      conditions: [
        condition('Ready', isReady ? 'True' : 'False', { reason, message }),
        ...(isPaused || before.some(({ type }) => type === 'Paused')
          ? [
              condition(
                'Paused',
                isPaused ? 'True' : 'False',
                isPaused
                  ? { reason: 'Paused', message: `changes since generation ${observedGeneration} wait` }
                  : { reason: 'NotPaused', message: 'changes are in force at once' },
              ),
            ]
          : []),
      ],
      ...facts,
    }),
  ) as Status
}
