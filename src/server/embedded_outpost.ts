import type { PageRenderer } from '#/flow/pages.ts'
import { type EmbeddedDeps, openEmbeddedCore } from '#/outpost/embedded.ts'
import { openOutpostPart } from './outpost.ts'
import type { Part } from './parts.ts'

/** The outpost as a part of the server. */
export const openEmbeddedOutpost = async (deps: EmbeddedDeps & { pages: PageRenderer }): Promise<Part> => {
  const core = await openEmbeddedCore(deps)
  const part = openOutpostPart({ ...deps, core })
  return {
    ...part,
    close: async () => {
      core.close()
      await part.close()
    },
  }
}
