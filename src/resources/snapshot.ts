/**
 * The configuration in memory of a server process. A request reads it and no table; a change reaches it by NOTIFY, and should that
 * be lost, by a look every half minute.
 */
import type { KindName } from '#/kinds/index.ts'
import type { Resource } from '#/kinds/kind.ts'
import { isBelow } from '#/lib/below.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import { type Database, sql } from '#/lib/sql.ts'
import { findGeneration, listResourceKeys, listResourcesAfter } from '#/model/resources.ts'
import type { EffectivePolicy } from '#/policy/effective_policy.ts'
import { type Configuration, compileConfiguration, type Problem, type ResolvedAuthServer, type ResolvedClient } from './configuration.ts'
import { guardProblem } from './guard_problem.ts'
import { keyOf, parseRow, type ResourceOf } from './resource.ts'

/** Synchronous reads of frozen, parsed resources that are in force. What is read at one moment belongs together. */
export interface Snapshot {
  /** Version of the last change that it knows of. */
  readonly generation: string
  get<Name extends KindName>(kind: Name, namespace: string, name: string): ResourceOf<Name> | undefined
  list<Name extends KindName>(kind: Name): readonly ResourceOf<Name>[]
  /** Those that serve. */
  authServers(): readonly ResolvedAuthServer[]
  findAuthServer(namespace: string, name: string): ResolvedAuthServer | undefined
  /** The one whose issuerUrl a request's host (with its port, unless usual) and path begin with; the longest path wins. */
  authServerFor(host: string, path: string): ResolvedAuthServer | undefined
  /** Also one that is refused: look at its `problem`. */
  clientById(authServerNamespace: string, authServerName: string, client_id: string): ResolvedClient | undefined
  client(namespace: string, name: string): ResolvedClient | undefined
  /** Of an AuthClient; that of one without AuthServer is the strict built-in one. */
  effectivePolicyOf(client: { metadata: { namespace: string; name: string } }): EffectivePolicy | undefined
  /** Why a client is refused; undefined when it is not. */
  clientProblem(client: { metadata: { namespace: string; name: string } }): Problem | undefined
  /** Why an Application behind an outpost is closed; undefined when it is not. */
  problemOfApplication(application: Pick<ResourceOf<'Application'>, 'metadata' | 'spec'>): Problem | undefined
  /** Called after each change; answers how to stop that. */
  onChange(heard: () => void): () => void
  /** Resolves when everything committed before the call is seen. */
  refresh(): Promise<void>
  close(): void
}

export type { Problem, ResolvedAuthServer, ResolvedClient } from './configuration.ts'
export type { ResourceOf, SpecOf } from './resource.ts'

const pollMs = 30_000
const gatherMs = 20
const retryMs = 1_000

export const openSnapshot = async ({ db, log }: { db: Database; log: Log; clock?: Clock }): Promise<Snapshot> => {
  const active = new Map<string, { resource: Resource; created: bigint }>()
  const listeners = new Set<() => void>()
  let configuration: Configuration = compileConfiguration([])
  let generation = '-1'
  let closed = false

  const load = async (): Promise<void> => {
    if (closed || (await findGeneration(db)) === generation) return
    const { seen, keys, changed } = await db.transaction(async (tx) => {
      await tx.run(sql`set transaction isolation level repeatable read`)
      return { seen: await findGeneration(tx), keys: await listResourceKeys(tx), changed: await listResourcesAfter(tx, generation) }
    })
    const present = new Set(keys.map(({ kind, namespace, name }) => keyOf(kind, namespace, name)))
    for (const key of active.keys()) if (!present.has(key)) active.delete(key)
    for (const row of changed) {
      const key = keyOf(row.kind, row.namespace, row.name)
      const parsed = parseRow(row)
      if (parsed.kind === 'active') active.set(key, { resource: parsed.resource, created: BigInt(row.created_version) })
      else active.delete(key)
      if (parsed.kind === 'broken')
        log.error({ event: 'configuration.error', resource: key, problem: parsed.problem }, 'a resource is not understood')
    }
    const inOrder = [...active.values()].sort((a, b) => Number(a.created - b.created))
    configuration = compileConfiguration(inOrder.map(({ resource }) => resource))
    generation = seen
    for (const heard of listeners) {
      try {
        heard()
      } catch (error) {
        log.error({ event: 'configuration.error', error: (error as Error).stack }, 'something failed to follow a change of configuration')
      }
    }
  }

  // One load at a time; whoever asks while one runs waits for another after it, since the one that runs may have read before the change.
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const refresh = (): Promise<void> => {
    if (!running) {
      running = load().finally(() => {
        running = undefined
      })
      return running
    }
    next ??= running
      .catch(() => {})
      .then(() => {
        next = undefined
        return refresh()
      })
    return next
  }
  let soon: NodeJS.Timeout | undefined
  const refreshIn = (ms: number): void => {
    if (!closed)
      soon ??= setTimeout(() => {
        soon = undefined
        refreshQuietly()
      }, ms)
  }
  const refreshQuietly = () => {
    refresh().catch((error: Error) => {
      log.warn({ event: 'configuration.refresh.failed', error: error.message }, 'configuration could not be read; it stays as it was')
      refreshIn(retryMs)
    })
  }

  // Many changes may come at once; one look serves them all.
  await db.listen('resources', () => refreshIn(gatherMs))
  await refresh()
  const poll = setInterval(refreshQuietly, pollMs)
  poll.unref()

  return {
    get generation() {
      return generation
    },
    get: (kind, namespace, name) => configuration.resources.get(keyOf(kind, namespace, name)) as never,
    list: (kind) => (configuration.byKind.get(kind) ?? []) as never,
    authServers: () => configuration.authServers.filter((server) => server.problem === undefined),
    findAuthServer: (namespace, name) => configuration.authServerByKey.get(`${namespace}/${name}`),
    authServerFor: (host, path) => {
      const wanted = host.toLowerCase()
      return configuration.authServers.find(
        (server) => server.host === wanted && server.problem === undefined && isBelow(path, server.pathPrefix),
      )
    },
    clientById: (namespace, name, client_id) => configuration.clientsById.get(`${namespace}/${name}`)?.get(client_id),
    client: (namespace, name) => configuration.clients.get(`${namespace}/${name}`),
    effectivePolicyOf: ({ metadata }) => configuration.clients.get(`${metadata.namespace}/${metadata.name}`)?.policy,
    clientProblem: ({ metadata }) => configuration.clients.get(`${metadata.namespace}/${metadata.name}`)?.problem,
    problemOfApplication: (application) => guardProblem(application, configuration),
    onChange: (heard) => {
      listeners.add(heard)
      return () => listeners.delete(heard)
    },
    refresh,
    close: () => {
      closed = true
      clearInterval(poll)
      clearTimeout(soon)
    },
  }
}
