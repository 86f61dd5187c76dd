/** Which application stands at an address. */
import type { GuardedApplication } from './core.ts'

export interface Guard {
  /** The one whose externalUrl the address begins with; the longest path wins. `host` in lower case, with its port unless that is the usual one. */
  find(host: string, path: string): GuardedApplication | undefined
  /** Any on that host: what serves its own addresses, such as the callback. */
  onHost(host: string): GuardedApplication | undefined
}

export const openGuard = (applications: readonly GuardedApplication[]): Guard => {
  const byHost = Map.groupBy(
    applications.toSorted((a, b) => b.path.length - a.path.length),
    ({ host }) => host,
  )
  return {
    find: (host, path) => byHost.get(host)?.find((application) => isBelow(path, application.path)),
    onHost: (host) => byHost.get(host)?.at(0),
  }
}

export const isBelow = (path: string, prefix: string): boolean => prefix === '' || path === prefix || path.startsWith(`${prefix}/`)
