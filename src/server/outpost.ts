import { getGuardedCaller, setGuardedCaller } from '#/lib/http.ts'
import { version } from '#/lib/version.ts'
import { type OutpostDeps, openOutpost } from '#/outpost/outpost.ts'
import type { Part } from './parts.ts'
import { plainHost } from './plain_host.ts'

/** An outpost as a part of a process that listens. */
export const openOutpostPart = (deps: Omit<OutpostDeps, 'version'>): Part => {
  const outpost = openOutpost({ ...deps, version })
  return {
    handle: (request, response) => {
      const caller = getGuardedCaller(request)
      const host = plainHost(caller.host)
      if (host !== caller.host) setGuardedCaller(request, { ...caller, host })
      outpost.handle(request, response)
    },
    close: () => outpost.close(),
  }
}
