/** /flow/{name}: the flows as pages. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { NoMailServer } from '#/identity/mail.ts'
import { isLocale, localeCookie } from '#/lib/catalogue.ts'
import { writeCookie } from '#/lib/cookie.ts'
import { parseForm } from '#/lib/form.ts'
import { toProblem } from '#/lib/problem_document.ts'
import { logProblem, setRetryAfter } from '#/lib/problem_reply.ts'
import { AttemptOver } from './attempt_over.ts'
import { attemptLocation } from './attempts.ts'
import { beginByAddress } from './begin.ts'
import type { FlowRoutesDeps } from './deps.ts'
import { postAttempt, type Step, showAttempt } from './executor.ts'
import { flowFor, getFlow } from './flows.ts'
import {
  localesOf,
  type Params,
  type Query,
  readFlowRequest,
  readPost,
  refuseOtherOrigins,
  setSession,
  single,
  takeOnly,
} from './read_request.ts'
import type { FlowRequest } from './stage.ts'
import { stagePageOf } from './stage_page.ts'
import type { StageName } from './stages/index.ts'

const path = '/flow/:name'

export const pageRoutes =
  (deps: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    takeOnly(app, 'application/x-www-form-urlencoded', parseForm)

    const send = (request: FastifyRequest, reply: FastifyReply, step: Step, flowRequest: FlowRequest, now: Date) => {
      setSession(reply, step, flowRequest, now)
      reply.header('cache-control', 'no-store')
      const { authServer } = flowRequest
      const { pathPrefix, displayName: product } = authServer
      if (step.kind === 'done' || (step.kind === 'deny' && step.isBegunForOther)) return reply.redirect(step.next, 303)
      const locales = localesOf(step, request)
      if (step.kind === 'deny') {
        const page = deps.pages.render('error', { error: step.reason, retry: step.next }, { locales, pathPrefix, product })
        return reply.code(403).headers(page.headers).send(page.html)
      }
      if (!hasPage(step.stage)) throw new Error(`the stage ${step.stage} has no page and has asked`)
      const address = attemptLocation(authServer, step.flow.name, step.attempt)
      const recovery = flowFor(deps.snapshot, authServer, 'recovery')
      const page = deps.pages.render(step.stage, stagePageOf(step, deps.pages, locales, { pathPrefix, recovery }), {
        locales,
        pathPrefix,
        product,
        address,
      })
      if (step.kind === 'refused') {
        reply.code(step.reason === 'LockedOut' ? 429 : 400)
        if (step.retryAfter !== undefined) reply.header('retry-after', String(step.retryAfter))
      }
      return reply.headers(page.headers).send(page.html)
    }

    app.get<{ Params: Params; Querystring: Query }>(path, async (request, reply) => {
      const now = deps.clock()
      const flowRequest = readFlowRequest(request)
      const { authServer } = flowRequest
      const flow = getFlow(deps, authServer, request.params.name)
      const attempt = single(request.query, 'attempt')
      if (!attempt) {
        const beginning = await beginByAddress(
          deps,
          { flow, query: request.query, request: flowRequest, cookies: request.headers.cookie },
          now,
        )
        reply.header('cache-control', 'no-store')
        if (beginning.kind === 'sign_in_first') {
          const next = encodeURIComponent(`${authServer.pathPrefix}${request.url}`)
          const signIn = flowFor(deps.snapshot, authServer, 'authentication')
          // With the second factor of whoever has one, on a remembered device too.
          return reply.redirect(`${authServer.pathPrefix}/flow/${signIn}?acr_values=2fa&next=${next}`, 303)
        }
        const { begun } = beginning
        if (begun.setCookie) reply.header('set-cookie', begun.setCookie)
        return reply.redirect(begun.location, 303)
      }
      const chosen = single(request.query, 'ui_locales')
      if (chosen && isLocale(chosen))
        reply.header('set-cookie', writeCookie(localeCookie, chosen, { ...authServer, maxAgeSeconds: 31_536_000 }))
      return send(request, reply, await showAttempt(deps, { flow, attempt, request: flowRequest, now }), flowRequest, now)
    })

    app.post<{ Params: Params }>(path, { onRequest: refuseOtherOrigins }, async (request, reply) => {
      const now = deps.clock()
      const flowRequest = readFlowRequest(request)
      const flow = getFlow(deps, flowRequest.authServer, request.params.name)
      const step = await postAttempt(deps, { flow, post: readPost(request.body), request: flowRequest, now })
      // The next stage is shown by GET, so that reload and back button post nothing again.
      if (step.kind === 'ask') {
        setSession(reply, step, flowRequest, now)
        return reply.header('cache-control', 'no-store').redirect(attemptLocation(flowRequest.authServer, flow.name, step.attempt), 303)
      }
      return send(request, reply, step, flowRequest, now)
    })

    app.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error)
      logProblem(deps.log, 'flow.request.failed', request, problem)
      setRetryAfter(reply, problem)
      const { locales, authServer, requestId } = readFlowRequest(request)
      const { pathPrefix, displayName: product } = authServer
      const retry = wayOn(error, request)
      const page =
        problem.code === 'unavailable' && !(error instanceof NoMailServer)
          ? deps.pages.render('busy', { retry }, { locales, pathPrefix, product })
          : deps.pages.render(
              'error',
              {
                error: error instanceof NoMailServer ? 'no_mail_server' : problem.code,
                request_id: requestId,
                ...(problem.code === 'not_found' ? {} : { retry }),
              },
              { locales, pathPrefix, product },
            )
      return reply.code(problem.status).headers(page.headers).send(page.html)
    })
  }

/** Stages that never ask. */
const silent = ['user_login', 'user_write', 'invitation', 'deny', 'redirect', 'source'] as const
const hasPage = (stage: StageName): stage is Exclude<StageName, (typeof silent)[number]> =>
  !(silent as readonly StageName[]).includes(stage)

/** Where a person goes on: at the attempt while it runs, at the attempt's own end when it is over, else at the flow's beginning. */
const wayOn = (error: unknown, request: FastifyRequest): string => {
  const { authServer } = readFlowRequest(request)
  if (request.method === 'GET' && !(error instanceof AttemptOver)) return `${authServer.pathPrefix}${request.url}`
  const { name = '' } = request.params as Partial<Params>
  const begin = `${authServer.pathPrefix}/flow/${encodeURIComponent(name)}`
  if (error instanceof AttemptOver && error.known?.state !== 'running') return error.known?.next ?? begin
  const { attempt } = (request.body ?? {}) as { attempt?: unknown }
  return typeof attempt === 'string' && /^[\w-]{43}$/.test(attempt) ? attemptLocation(authServer, name, attempt) : begin
}
