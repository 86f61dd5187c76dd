/** What both fronts of a flow read of a request, and refuse of it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { readDeviceCookie, setDeviceCookie } from '#/identity/device_cookie.ts'
import { clearSessionCookie, readSessionCookie, setSessionCookie } from '#/identity/session_cookie.ts'
import { localeCookie, readLocales } from '#/lib/catalogue.ts'
import { readCookie } from '#/lib/cookie.ts'
import { formLimit } from '#/lib/form.ts'
import { getCaller } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import { isSameOrigin } from '#/lib/same_origin.ts'
import { browserCookie } from './attempts.ts'
import type { Post, Step } from './executor.ts'
import type { FlowRequest } from './stage.ts'

export type Params = { name: string }
export type Query = Record<string, string | string[] | undefined>

/** A query parameter that may come once. */
export const single = (query: Query, name: string): string | undefined => {
  const value = query[name]
  if (Array.isArray(value)) throw new Problem('bad_request', { detail: `${name} comes more than once` })
  return value
}

export const readFlowRequest = (request: FastifyRequest): FlowRequest => {
  const { authServer, network, requestId } = getCaller(request.raw)
  const { cookie: cookies } = request.headers
  const { ui_locales } = request.query as Query
  return {
    authServer,
    browser: readCookie(cookies, browserCookie),
    session: readSessionCookie(cookies),
    device: readDeviceCookie(cookies),
    network,
    userAgent: request.headers['user-agent'],
    requestId,
    locales: readLocales({
      ui_locales: typeof ui_locales === 'string' ? ui_locales : undefined,
      cookies,
      acceptLanguage: request.headers['accept-language'],
    }),
  }
}

/** The languages of an attempt: what the client asked for stands behind what the person chose here. */
export const localesOf = (step: Step, request: FastifyRequest): string[] => {
  const { locales } = readFlowRequest(request)
  const { ui_locales } = request.query as Query
  const isChosen = typeof ui_locales === 'string' || readCookie(request.headers.cookie, localeCookie) !== undefined
  const asked = step.context.ui_locales ?? []
  return isChosen ? [...locales, ...asked] : [...asked, ...locales]
}

/** `onRequest` of what takes posts: before the body is read. */
export const refuseOtherOrigins = async (request: FastifyRequest) => {
  if (!isSameOrigin(request.headers, getCaller(request.raw).authServer.issuerUrl))
    throw new Problem('forbidden', { detail: 'the request comes from another site' })
}

/** Takes bodies of one content type, of bounded size. */
export const takeOnly = (app: FastifyInstance, type: string, parse: (body: string) => unknown): void => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(type, { parseAs: 'string', bodyLimit: formLimit }, async (_: unknown, body: unknown) => parse(String(body)))
  app.addHook('onRequest', async (request) => {
    // Without a body Fastify asks no parser, so a missing type would pass.
    if (request.method === 'POST' && request.headers['content-type'] === undefined) throw new Problem('unsupported_media_type')
  })
}

const longestAttempt = 200

/** The executor's own members are checked here; the rest is for the stage to judge. */
export const readPost = (body: unknown): Post => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Problem('bad_request', { detail: 'the body is not one object' })
  const { attempt, stage, decline, restart, ...fields } = body as Record<string, unknown>
  const wrong = Object.entries({ attempt, stage }).filter(([, value]) => typeof value !== 'string' || value === '')
  if (typeof attempt !== 'string' || typeof stage !== 'string' || wrong.length)
    throw new Problem('bad_request', { errors: wrong.map(([name]) => ({ pointer: `/${name}`, detail: 'is missing, or is not a text' })) })
  // Too long to be one of ours: unknown like any other.
  return { attempt: attempt.slice(0, longestAttempt), stage, decline: isTrue(decline), restart: isTrue(restart), fields }
}

const isTrue = (value: unknown) => value === true || value === 'true'

export const setSession = (reply: FastifyReply, step: Step, { authServer }: FlowRequest, now: Date): void => {
  if ((step.kind !== 'done' && step.kind !== 'ask') || !step.session) return
  const { session } = step
  const cookie =
    session.kind === 'began' ? setSessionCookie(session.token, authServer, session.expiresAt, now) : clearSessionCookie(authServer)
  reply.header('set-cookie', cookie)
  if (session.kind === 'began' && session.device)
    reply.header('set-cookie', setDeviceCookie(session.device.token, authServer, session.device.expiresAt, now))
}
