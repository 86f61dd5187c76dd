/**
 * The two fronts of a flow: pages and JSON. Both read the same request, ask the executor the same and differ only in how they show its step.
 */
import type { FastifyPluginAsync } from 'fastify'
import { openStaticFile } from '#/lib/static_file.ts'
import type { FlowRoutesDeps } from './deps.ts'
import { jsonRoutes } from './json_routes.ts'
import { pageRoutes } from './page_routes.ts'
import type { StaticFile } from './pages.ts'

export const flowRoutes =
  (deps: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    for (const file of [deps.pages.stylesheet, ...Object.values(deps.pages.scripts)]) await app.register(staticFile(file))
    await app.register(pageRoutes(deps))
    await app.register(jsonRoutes(deps))
  }

const staticFile =
  ({ path, ...content }: StaticFile): FastifyPluginAsync =>
  async (app) => {
    const answer = openStaticFile(content)
    app.get(path, (request, reply) => {
      reply.hijack()
      answer(request.raw, reply.raw)
    })
  }
