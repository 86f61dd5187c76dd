/** Where applications stand that are reached through the outpost: looked up for every request, so made once a change. */
import { isBelow } from '#/lib/below.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import { plainHost } from './plain_host.ts'

export const openGuardedHosts = (snapshot: Pick<Snapshot, 'generation' | 'list'>) => {
  let generation: string | undefined
  let prefixes = new Map<string, string[]>()

  const read = () => {
    prefixes = new Map()
    for (const { spec } of snapshot.list('Application')) {
      if (spec.proxy?.mode !== 'proxy' || spec.proxy.outpostRef) continue
      const { host, pathname } = new URL(spec.proxy.externalUrl)
      prefixes.set(
        host,
        [...(prefixes.get(host) ?? []), pathname.replace(/\/$/, '')].toSorted((a, b) => b.length - a.length),
      )
    }
    generation = snapshot.generation
  }

  /** Length of the longest path that an application has there; undefined when none has one. */
  return (host: string, path: string): number | undefined => {
    if (generation !== snapshot.generation) read()
    if (prefixes.size === 0) return undefined
    return prefixes.get(plainHost(host))?.find((prefix) => isBelow(path, prefix))?.length
  }
}
