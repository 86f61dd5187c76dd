/** Outposts that run by themselves: who looks after them sees them here. What they are told stands in `outpost_stream.ts`. */
import { z } from 'zod'
import { pageOf, parseCursor } from '#/identity/page.ts'
import { Problem } from '#/lib/problem.ts'
import { listOutpostInstances, type OutpostInstance } from '#/model/outpost_instances.ts'
import { mayISomewhere } from '#/policy/access.ts'
import { aliveMs } from '#/resources/outpost_beats.ts'
import { outpostOf } from '#/resources/outpost_client.ts'
import { outpostKey as keyOf } from '#/resources/outpost_instances.ts'
import { nameOf } from './authenticate.ts'
import type { ApiDeps } from './deps.ts'
import { type Endpoint, endpoint } from './endpoint.ts'
import { listOf, listQuery } from './list.ts'

const instance = z.strictObject({
  id: z.uuid().describe('Chosen by the process when it starts.'),
  hostname: z.string(),
  version: z
    .string()
    .describe('Of its program; one that differs from `version` of the server works, as long as they speak the same protocol.'),
  address: z.string().describe('Where it comes from.'),
  isConnected: z.boolean().describe('It was heard of in the last seconds.'),
  since: z.iso.datetime().describe('When its stream began.'),
  lastSeen: z.iso.datetime(),
  generation: z.string().nullable().describe('Of the configuration that it works by. Null: it has none yet.'),
})

const outpost = z.strictObject({
  namespace: z.string(),
  name: z.string(),
  displayName: z.string(),
  applications: z.array(z.string()).describe('`namespace/name` of those that it guards.'),
  instances: z.array(instance).describe('Its processes of the last days, those seen last first.'),
})

const shown = (found: OutpostInstance) => ({
  id: found.instance_id,
  hostname: found.hostname,
  version: found.version,
  address: found.network,
  isConnected: found.is_alive,
  since: found.connected_at,
  lastSeen: found.seen_at,
  generation: found.generation,
})

export const outposts = ({ db, snapshot }: ApiDeps): Endpoint[] => [
  endpoint({
    method: 'GET',
    path: '/v1/outposts',
    tag: 'outposts',
    summary: 'List outposts that run by themselves, with their processes',
    access: 'signed_in',
    query: z.strictObject(listQuery),
    answers: { 200: { description: 'Those that you may list, by namespace and name.', schema: listOf(outpost) } },
    handle: async ({ query: { cursor, limit }, caller }) => {
      const right = { verb: 'list', kind: 'Outpost' } as const
      // Who may list them nowhere hears so.
      if (!mayISomewhere(caller.grants, right)) throw new Problem('forbidden', { detail: `this needs the right to ${nameOf(right)}` })
      const [afterNamespace = '', afterName = ''] = parseCursor(cursor, ['text', 'text']) ?? []
      const isAfter = (namespace: string, name: string) => namespace > afterNamespace || (namespace === afterNamespace && name > afterName)
      const found = snapshot
        .list('Outpost')
        .filter(({ metadata: { namespace, name } }) => isAfter(namespace, name) && caller.may({ ...right, namespace }))
        .toSorted((a, b) => compare(a.metadata.namespace, b.metadata.namespace) || compare(a.metadata.name, b.metadata.name))
        .slice(0, limit + 1)
      const keys = found.map(({ metadata }) => keyOf(metadata))
      const instances = Map.groupBy(await listOutpostInstances(db, keys, aliveMs), keyOf)
      const guarded = Map.groupBy(snapshot.list('Application'), (application) => outpostOf(application) ?? '')
      return {
        body: pageOf(
          found,
          limit,
          ({ metadata }) => [metadata.namespace, metadata.name],
          ({ metadata, spec }) => ({
            namespace: metadata.namespace,
            name: metadata.name,
            displayName: spec.displayName ?? metadata.name,
            applications: (guarded.get(keyOf(metadata)) ?? []).map((application) => keyOf(application.metadata)).toSorted(),
            instances: (instances.get(keyOf(metadata)) ?? []).map(shown),
          }),
        ),
      }
    },
  }),
]

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
