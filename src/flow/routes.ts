/**
 * The two fronts of a flow: pages and JSON. Both read the same request, ask the executor the same and differ only in how they show its step.
 */
import { gzipSync } from 'node:zlib'
import type { FastifyPluginAsync } from 'fastify'
import type { FlowRoutesDeps } from './deps.ts'
import { jsonRoutes } from './json_routes.ts'
import { pageRoutes } from './page_routes.ts'

export const flowRoutes =
  (deps: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    await app.register(stylesheet(deps))
    await app.register(pageRoutes(deps))
    await app.register(jsonRoutes(deps))
  }

/** Its address holds its hash, so a browser asks once. */
const stylesheet =
  ({ pages: { stylesheet } }: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    const zipped = gzipSync(stylesheet.css, { level: 9 })
    app.get(stylesheet.path, (request, reply) => {
      reply.headers({
        'content-type': 'text/css; charset=utf-8',
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
        vary: 'accept-encoding',
      })
      const takesZipped = /\bgzip\b(?!\s*;\s*q=0(\.0+)?\s*(,|$))/.test(String(request.headers['accept-encoding'] ?? ''))
      return takesZipped ? reply.header('content-encoding', 'gzip').send(zipped) : reply.send(stylesheet.css)
    })
  }
