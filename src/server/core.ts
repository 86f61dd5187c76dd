import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FastifyReply, fastify } from 'fastify'
import { type ApiDeps, buildApi } from '#/api/index.ts'
import { sendProblem } from '#/api/problem.ts'
import { type FlowRoutesDeps, flowRoutes } from '#/flow/routes.ts'
import { getCaller } from '#/lib/http.ts'

export type CoreDeps = ApiDeps & FlowRoutesDeps

export interface Core {
  handle(request: IncomingMessage, response: ServerResponse): void
  close(): Promise<void>
}

/** Flow pages, portal and REST in one Fastify instance. It never listens: the router hands it what is its own. */
export const openCore = async (deps: CoreDeps): Promise<Core> => {
  const app = fastify({
    logger: false,
    bodyLimit: 1024 * 1024,
    genReqId: (request) => getCaller(request).requestId,
    // Malformed percent-encoding in a path is a path that names nothing.
    // The cast: here the reply's type knows of no status it may have.
    frameworkErrors: (_error, request, reply) => sendProblem(reply as FastifyReply, new Problem('not_found'), request.id),
    routerOptions: { maxParamLength: 512 },
  })
  await app.register(flowRoutes(deps))
  await app.register(buildApi(deps), { prefix: '/api' })
  await app.ready()
  return {
    handle: (request, response) => app.routing(request, response),
    close: () => app.close(),
  }
}
