/** Processes of outposts that run by themselves, and what they make of the status of an Outpost. */
import type { Condition, Resource } from '#/kinds/kind.ts'
import type { Db } from '#/lib/sql.ts'
import { listOutpostInstances, type OutpostInstance } from '#/model/outpost_instances.ts'
import { aliveMs } from './outpost_beats.ts'

/** Processes of one Outpost at once. */
export const mostInstances = 100

export const outpostKey = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`

/** Outposts among them with the status that their processes give them: looked up when it is asked for, since it changes by the second. */
export const withInstances = async (db: Db, resources: readonly Resource[]): Promise<Resource[]> => {
  const keys = resources.filter(({ kind }) => kind === 'Outpost').map(({ metadata }) => outpostKey(metadata))
  if (keys.length === 0) return [...resources]
  const instances = Map.groupBy(await listOutpostInstances(db, keys, aliveMs), outpostKey)
  return resources.map((resource) =>
    resource.kind === 'Outpost' ? withStatus(resource, instances.get(outpostKey(resource.metadata)) ?? []) : resource,
  )
}

/** `instances`: those seen last first. Pure. */
export const withStatus = (resource: Resource, instances: readonly OutpostInstance[]): Resource => {
  const connected = instances.filter(({ is_alive }) => is_alive)
  const [last] = instances
  const since = Math.min(...connected.map(({ connected_at }) => connected_at.getTime()))
  const overlaid = (condition: Condition): Condition => {
    if (condition.type !== 'Ready' || condition.status !== 'True') return condition
    return connected.length
      ? {
          ...condition,
          reason: 'Connected',
          message: `${connected.length} ${connected.length === 1 ? 'process is' : 'processes are'} connected; ${condition.message}`,
          lastTransitionTime: new Date(since).toISOString(),
        }
      : {
          ...condition,
          status: 'False',
          reason: 'NotConnected',
          message: 'no process of it is connected: signet outpost is one',
          lastTransitionTime: last ? (last.left_at ?? last.seen_at).toISOString() : condition.lastTransitionTime,
        }
  }
  return {
    ...resource,
    status: {
      ...resource.status,
      ...(resource.status.conditions ? { conditions: resource.status.conditions.map(overlaid) } : {}),
      instances: {
        connected: connected.length,
        versions: [...new Set(connected.map(({ version }) => version))].toSorted(),
        ...(last ? { lastSeen: last.seen_at.toISOString() } : {}),
      },
    },
  }
}
