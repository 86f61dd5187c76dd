/** Which application stands at an address. */
import { isBelow } from '#/lib/below.ts'
import { isDecodable } from './address.ts'
import type { GuardedApplication } from './core.ts'
import { goesUp, isUnambiguous, readingsOf, resolvedOf } from './readings.ts'
import { namesOfAll, statedForProxies } from './told_claims.ts'

export interface Guard {
  /**
   * The one whose externalUrl the address begins with; the longest path wins. Undefined also where another server could read the path as that of
   * another one: who chooses the spelling must not choose whose rule is asked. `host` in lower case, with its port unless that is the usual one.
   */
  find(host: string, path: string): GuardedApplication | undefined
  /** The outermost on that host: what serves its own addresses, such as the callback. */
  onHost(host: string): GuardedApplication | undefined
  /** Names of headers that an answer to a proxy has, whichever application it asks about. */
  headers: readonly string[]
  /** Names, as they are read, that nobody outside says to any of the applications. */
  stated: ReadonlySet<string>
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
      const there = byHost.get(host) ?? []
      const standing = (text: string, level = 0) =>
        there.find(({ application, readings }) => isBelow(text, level === 0 ? application.path : (readings[level - 1] as string)))
      const found = standing(path)
      if (!found || isUnambiguous(path) || (there.length === 1 && found.application.path === '')) return found?.application
      const resolved = goesUp(path) ? resolvedOf(path) : path
      const isSame =
        resolved !== undefined &&
        isDecodable(path) &&
        standing(resolved) === found &&
        readingsOf(path).every((reading, index) => standing(reading, index + 1) === found)
      return isSame ? found.application : undefined
    },
    onHost: (host) => byHost.get(host)?.at(-1)?.application,
    headers: statedForProxies(applications),
    stated: namesOfAll(applications),
  }
}
