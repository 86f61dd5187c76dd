/** Which application stands at an address. */
import type { GuardedApplication } from './core.ts'
import { isUnambiguous, readingsOf } from './readings.ts'

export interface Guard {
  /**
   * The one whose externalUrl the address begins with; the longest path wins. Undefined also where another server could read the path as that of
   * another one: who chooses the spelling must not choose whose rule is asked. `host` in lower case, with its port unless that is the usual one.
   */
  find(host: string, path: string): GuardedApplication | undefined
  /** The outermost on that host: what serves its own addresses, such as the callback. */
  onHost(host: string): GuardedApplication | undefined
}

export const openGuard = (applications: readonly GuardedApplication[]): Guard => {
  const byHost = Map.groupBy(
    applications
      .toSorted((a, b) => b.path.length - a.path.length)
      .map((application) => ({ application, readings: readingsOf(application.path) })),
    ({ application }) => application.host,
  )
  return {
    find: (host, path) => {
      const there = byHost.get(host)
      const found = there?.find(({ application }) => isBelow(path, application.path))
      if (!there || there.length === 1 || isUnambiguous(path)) return found?.application
      const isSame = readingsOf(path).every(
        (reading, level) => there.find(({ readings }) => isBelow(reading, readings[level] ?? '')) === found,
      )
      return isSame ? found?.application : undefined
    },
    onHost: (host) => byHost.get(host)?.at(-1)?.application,
  }
}

export const isBelow = (path: string, prefix: string): boolean => prefix === '' || path === prefix || path.startsWith(`${prefix}/`)
