/**
 * The two fronts of a flow: pages and JSON. Both read the same request, ask the executor the same and differ only in how they show its step.
 */
import { gzipSync } from 'node:zlib'
import type { FastifyPluginAsync } from 'fastify'
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

/** Its address holds its hash, so a browser asks once. */
const staticFile =
  ({ path, type, text }: StaticFile): FastifyPluginAsync =>
  async (app) => {
    const zipped = gzipSync(text, { level: 9 })
    app.get(path, (request, reply) => {
      reply.headers({
        'content-type': `${type}; charset=utf-8`,
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
        vary: 'accept-encoding',
      })
      const takesZipped = /\bgzip\b(?!\s*;\s*q=0(\.0+)?\s*(,|$))/.test(String(request.headers['accept-encoding'] ?? ''))
      return takesZipped ? reply.header('content-encoding', 'gzip').send(zipped) : reply.send(text)
    })
  }
