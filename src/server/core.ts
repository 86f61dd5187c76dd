import { type FastifyPluginAsync, type FastifyReply, fastify } from 'fastify'
import { type ApiDeps, buildApi } from '#/api/index.ts'
import { refuseUnrouted } from '#/api/problem.ts'
import type { FlowRoutesDeps } from '#/flow/deps.ts'
import { flowRoutes } from '#/flow/routes.ts'
import { learnImportedHashes, openPasswordHasher } from '#/identity/passwords.ts'
import { readLocales } from '#/lib/catalogue.ts'
import { getCaller } from '#/lib/http.ts'
import type { PortalDeps } from '#/portal/deps.ts'
import { portalRoutes } from '#/portal/routes.ts'
import type { Part } from './parts.ts'
import { refuse } from './refuse.ts'

export type CoreDeps = ApiDeps & FlowRoutesDeps & PortalDeps

const noSchemas = (): never => {
  throw new Error('a route has no JSON Schema here')
}

/** Flow pages, portal and REST. */
export const coreRoutes =
  (deps: CoreDeps): FastifyPluginAsync =>
  async (app) => {
    await app.register(flowRoutes(deps))
    await app.register(portalRoutes(deps))
    await app.register(buildApi(deps), { prefix: '/api' })
  }

/** All of it in one Fastify instance. It never listens: the router hands it what is its own. */
export const openCore = async (open: Omit<CoreDeps, 'passwords'>): Promise<Part> => {
  const passwords = openPasswordHasher({ breachedPasswordsDir: open.settings.BREACHED_PASSWORDS_DIR })
  const deps = { ...open, passwords }
  const app = fastify({
    logger: false,
    bodyLimit: 1024 * 1024,
    genReqId: (request) => getCaller(request).requestId,
    // Malformed percent-encoding in a path is a path that names nothing.
    // The cast: here the reply's type knows of no status it may have.
    frameworkErrors: (error, request, reply) => refuseUnrouted(error, request, reply as FastifyReply),
    routerOptions: { maxParamLength: 512 },
    // Shapes are checked by Zod (src/api/endpoint.ts). Without these two, two compilers of JSON Schema would be loaded for nothing.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
  })
  await app.register(coreRoutes(deps))
  app.setNotFoundHandler((request, reply) => {
    const { headers, raw } = request
    if (headers.accept?.includes('text/html')) {
      const { html, headers: pageHeaders } = deps.pages.render(
        'error',
        { error: 'not_found' },
        {
          locales: readLocales({ cookies: headers.cookie, acceptLanguage: headers['accept-language'] }),
          pathPrefix: getCaller(raw).authServer.pathPrefix,
        },
      )
      return reply.code(404).headers(pageHeaders).send(html)
    }
    reply.hijack()
    refuse(raw, reply.raw, { code: 'not_found', detail: 'nothing stands at this address' })
  })
  await app.ready()
  learnImportedHashes(deps).catch((error: Error) =>
    deps.log.warn({ event: 'passwords.learn_failed', error: error.message }, 'what imported hashes take is found out as they come'),
  )
  return {
    handle: (request, response) => app.routing(request, response),
    close: async () => {
      await app.close()
      await passwords.close()
    },
  }
}
