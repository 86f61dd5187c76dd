/**
 * The two fronts of a flow: pages at /flow/{name} and JSON at /api/v1/flows/{name}. Both read the same request, ask the executor the same
 * and differ only in how they show its step.
 */
import { gzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { clearSessionCookie, readSessionCookie, setSessionCookie } from '#/identity/session_cookie.ts'
import { localeCookie, readLocales } from '#/lib/catalogue.ts'
import { readCookie, writeCookie } from '#/lib/cookie.ts'
import { formLimit, parseForm } from '#/lib/form.ts'
import { getCaller } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import { problemContentType, problemDocument, toProblem } from '#/lib/problem_document.ts'
import { isSameOrigin } from '#/lib/same_origin.ts'
import { beginAttempt, browserCookie } from './attempts.ts'
import { AttemptOver, getFlow, type Post, postAttempt, type Step, showAttempt } from './executor.ts'
import type { PageRenderer } from './pages.ts'
import type { FlowDeps, FlowRequest } from './stage.ts'
import { challengeOf, stagePageOf } from './stage_page.ts'

export interface FlowRoutesDeps extends FlowDeps {
  pages: PageRenderer
}

type Params = { name: string }
type Query = Record<string, string | string[] | undefined>

export const flowRoutes =
  (deps: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    await app.register(stylesheet(deps))
    await app.register(pages(deps))
    await app.register(json(deps))
  }

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

const single = (query: Query, name: string): string | undefined => {
  const value = query[name]
  if (Array.isArray(value)) throw new Problem('bad_request', { detail: `${name} comes more than once` })
  return value
}

/** What stages may look at, and what only the fronts need. */
const read = (request: FastifyRequest) => {
  const { authServer, network, requestId } = getCaller(request.raw)
  const cookies = request.headers.cookie
  const { ui_locales } = request.query as Query
  const flowRequest: FlowRequest = {
    authServer,
    browser: readCookie(cookies, browserCookie),
    session: readSessionCookie(cookies),
    network,
    userAgent: request.headers['user-agent'],
    requestId,
    locales: readLocales({
      ui_locales: typeof ui_locales === 'string' ? ui_locales : undefined,
      cookies,
      acceptLanguage: request.headers['accept-language'],
    }),
  }
  return { authServer, cookies, flowRequest }
}

/** The languages of an attempt: what the client asked for stands behind what the person chose here. */
const localesOf = (step: Step, { locales }: FlowRequest, request: FastifyRequest): string[] => {
  const { ui_locales } = request.query as Query
  const isChosen = typeof ui_locales === 'string' || readCookie(request.headers.cookie, localeCookie) !== undefined
  const asked = step.context.ui_locales ?? []
  return isChosen ? [...locales, ...asked] : [...asked, ...locales]
}

const refuseOtherOrigins = async (request: FastifyRequest) => {
  if (!isSameOrigin(request.headers, getCaller(request.raw).authServer.issuerUrl))
    throw new Problem('forbidden', { detail: 'the request comes from another site' })
}

const setSession = (reply: FastifyReply, step: Step, { authServer }: FlowRequest, now: Date): void => {
  if (step.kind !== 'done' || !step.session) return
  const { session } = step
  const cookie =
    session.kind === 'began' ? setSessionCookie(session.token, authServer, session.expiresAt, now) : clearSessionCookie(authServer)
  reply.header('set-cookie', cookie)
}

/** Only what a stage asks reaches it as text; the rest of the body is the executor's own. */
const readPost = (body: unknown): Post => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Problem('bad_request', { detail: 'the body is not one object' })
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(body)) {
    if (typeof value === 'string') fields[name] = value
    else if (typeof value === 'boolean') fields[name] = String(value)
    else throw new Problem('bad_request', { errors: [{ pointer: `/${name}`, detail: 'is not a text' }] })
  }
  const { attempt, stage } = fields
  const missing = Object.entries({ attempt, stage }).filter(([, value]) => !value)
  if (!attempt || !stage || attempt.length > 200)
    throw new Problem('bad_request', { errors: missing.map(([name]) => ({ pointer: `/${name}`, detail: 'is missing' })) })
  return { attempt, stage, decline: fields.decline === 'true', restart: fields.restart === 'true', fields }
}

const parsers = (app: FastifyInstance, type: string, parse: (body: string) => unknown): void => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(type, { parseAs: 'string', bodyLimit: formLimit }, (_, body, done) => {
    try {
      done(null, parse(String(body)))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('onRequest', async (request) => {
    // Without a body Fastify asks no parser, so a missing type would pass.
    if (request.method === 'POST' && request.headers['content-type'] === undefined) throw new Problem('unsupported_media_type')
  })
}

const parseJson = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    throw new Problem('bad_request', { detail: 'the body is not JSON' })
  }
}

const logOf = (deps: FlowRoutesDeps, request: FastifyRequest, problem: Problem): void => {
  if (problem.status < 500 && !problem.log) return
  deps.log[problem.code === 'internal' ? 'error' : 'warn'](
    {
      event: 'flow.request.failed',
      'http.request.id': getCaller(request.raw).requestId,
      'http.route': request.routeOptions.url,
      code: problem.code,
      reason: problem.log,
      ...(problem.code === 'internal' ? { stack: (problem.cause as Error | undefined)?.stack ?? problem.stack } : {}),
    },
    'a request of a flow failed',
  )
}

// Pages

const pages =
  (deps: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    parsers(app, 'application/x-www-form-urlencoded', parseForm)

    const send = (request: FastifyRequest, reply: FastifyReply, step: Step, flowRequest: FlowRequest, now: Date) => {
      setSession(reply, step, flowRequest, now)
      const { pathPrefix } = flowRequest.authServer
      if (step.kind === 'done' || (step.kind === 'deny' && step.isBegunForOther)) return reply.redirect(step.next, 303)
      const locales = localesOf(step, flowRequest, request)
      if (step.kind === 'deny') {
        const page = deps.pages.render('error', { error: step.reason, retry: step.next }, { locales, pathPrefix })
        return reply.code(403).headers(page.headers).send(page.html)
      }
      if (step.stage === 'user_login') throw new Error('a stage that asks nothing has asked')
      const address = `${pathPrefix}/flow/${step.flow.name}?attempt=${step.attempt}`
      const page = deps.pages.render(step.stage, stagePageOf(step, deps.pages, locales, pathPrefix), { locales, pathPrefix, address })
      if (step.kind === 'refused') {
        reply.code(step.reason === 'LockedOut' ? 429 : 400)
        if (step.retryAfter !== undefined) reply.header('retry-after', String(step.retryAfter))
      }
      return reply.headers(page.headers).send(page.html)
    }

    app.get<{ Params: Params; Querystring: Query }>('/flow/:name', async (request, reply) => {
      const now = deps.clock()
      const { authServer, cookies, flowRequest } = read(request)
      const flow = getFlow(request.params.name)
      const attempt = single(request.query, 'attempt')
      if (!attempt) {
        const next = single(request.query, 'next') ?? ''
        const begun = await beginAttempt(deps, { flow: flow.name, next, context: {}, authServer, cookies }, now)
        if (begun.setCookie) reply.header('set-cookie', begun.setCookie)
        return reply.header('cache-control', 'no-store').redirect(begun.location, 303)
      }
      const chosen = single(request.query, 'ui_locales')
      if (chosen && /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i.test(chosen))
        reply.header('set-cookie', writeCookie(localeCookie, chosen, { ...authServer, maxAgeSeconds: 31_536_000 }))
      return send(request, reply, await showAttempt(deps, flow, attempt, flowRequest, now), flowRequest, now)
    })

    app.post<{ Params: Params }>('/flow/:name', { onRequest: refuseOtherOrigins }, async (request, reply) => {
      const now = deps.clock()
      const { flowRequest } = read(request)
      const flow = getFlow(request.params.name)
      const step = await postAttempt(deps, flow, readPost(request.body), flowRequest, now)
      // The next stage is shown by GET, so that reload and back button post nothing again.
      if (step.kind === 'ask')
        return reply
          .header('cache-control', 'no-store')
          .redirect(`${flowRequest.authServer.pathPrefix}/flow/${flow.name}?attempt=${step.attempt}`, 303)
      return send(request, reply, step, flowRequest, now)
    })

    app.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error)
      logOf(deps, request, problem)
      const { flowRequest } = read(request)
      const { locales, authServer } = flowRequest
      const { pathPrefix } = authServer
      const { name = '' } = request.params as Partial<Params>
      if (problem.retryAfter !== undefined) reply.header('retry-after', String(Math.max(1, Math.ceil(problem.retryAfter))))
      const again =
        problem instanceof AttemptOver ? (problem.known?.next ?? `${pathPrefix}/`) : `${pathPrefix}/flow/${encodeURIComponent(name)}`
      const page =
        problem.code === 'unavailable' || problem.code === 'too_many_requests'
          ? deps.pages.render('busy', { retry: request.method === 'GET' ? `${pathPrefix}${request.url}` : again }, { locales, pathPrefix })
          : deps.pages.render(
              'error',
              {
                error: problem.code,
                request_id: flowRequest.requestId,
                ...(problem.code === 'not_found' ? {} : { retry: again }),
              },
              { locales, pathPrefix },
            )
      return reply.code(problem.status).headers(page.headers).send(page.html)
    })
  }

// JSON

const json =
  (deps: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    parsers(app, 'application/json', parseJson)

    const send = (request: FastifyRequest, reply: FastifyReply, step: Step, flowRequest: FlowRequest, now: Date) => {
      setSession(reply, step, flowRequest, now)
      reply.header('cache-control', 'no-store')
      if (step.kind === 'done') return reply.send({ stage: 'done', next: step.next })
      if (step.kind === 'deny')
        return reply.send({ stage: 'deny', reason: step.reason, ...(step.isBegunForOther ? { next: step.next } : {}) })
      const challenge = challengeOf(step, deps.pages, localesOf(step, flowRequest, request))
      if (step.kind === 'ask') return reply.send(challenge)
      const problem = new Problem(step.reason === 'LockedOut' ? 'too_many_requests' : 'bad_request', {
        detail: challenge.errors[0]?.detail ?? step.reason,
        errors: challenge.errors,
      })
      if (step.retryAfter !== undefined) reply.header('retry-after', String(step.retryAfter))
      // The challenge's own members stand beside those of the problem, so that a front end reads every answer alike.
      const body = { ...challenge, ...problemDocument(problem, flowRequest.requestId), challenge }
      return reply.code(problem.status).header('content-type', problemContentType).send(JSON.stringify(body))
    }

    app.get<{ Params: Params; Querystring: Query }>('/api/v1/flows/:name', async (request, reply) => {
      const now = deps.clock()
      const { authServer, cookies, flowRequest } = read(request)
      const flow = getFlow(request.params.name)
      const known = single(request.query, 'attempt')
      if (known) return send(request, reply, await showAttempt(deps, flow, known, flowRequest, now), flowRequest, now)
      const next = single(request.query, 'next') ?? ''
      const begun = await beginAttempt(deps, { flow: flow.name, next, context: {}, authServer, cookies }, now)
      if (begun.setCookie) reply.header('set-cookie', begun.setCookie)
      return send(
        request,
        reply,
        await showAttempt(deps, flow, begun.attempt, { ...flowRequest, browser: begun.browser }, now),
        flowRequest,
        now,
      )
    })

    app.post<{ Params: Params }>('/api/v1/flows/:name', { onRequest: refuseOtherOrigins }, async (request, reply) => {
      const now = deps.clock()
      const { flowRequest } = read(request)
      const flow = getFlow(request.params.name)
      return send(request, reply, await postAttempt(deps, flow, readPost(request.body), flowRequest, now), flowRequest, now)
    })

    app.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error)
      logOf(deps, request, problem)
      if (problem.retryAfter !== undefined) reply.header('retry-after', String(Math.max(1, Math.ceil(problem.retryAfter))))
      return reply
        .code(problem.status)
        .header('cache-control', 'no-store')
        .header('content-type', problemContentType)
        .send(JSON.stringify(problemDocument(problem, getCaller(request.raw).requestId)))
    })
  }
