import { readFileSync } from 'node:fs'
import type { PageRenderer } from '#/flow/pages.ts'
import { getGuardedCaller, setGuardedCaller } from '#/lib/http.ts'
import { type EmbeddedDeps, openEmbeddedCore } from '#/outpost/embedded.ts'
import { openOutpost } from '#/outpost/outpost.ts'
import { plainHost } from './guarded_hosts.ts'
import type { Part } from './parts.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }

/** The outpost as a part of the server. */
export const openEmbeddedOutpost = async (deps: EmbeddedDeps & { pages: PageRenderer }): Promise<Part> => {
  const core = await openEmbeddedCore(deps)
  const outpost = openOutpost({ ...deps, core, version })
  return {
    handle: (request, response) => {
      const caller = getGuardedCaller(request)
      setGuardedCaller(request, { ...caller, host: plainHost(caller.host) })
      outpost.handle(request, response)
    },
    close: async () => {
      core.close()
      await outpost.close()
    },
  }
}
