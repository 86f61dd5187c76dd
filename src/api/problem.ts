/** Renders every refusal as problem details (RFC 9457). Nothing but a Problem's own words leaves; the rest goes to the log. */
import type { IncomingMessage } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { getCaller } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import { Problem, type ProblemCode, problems } from '#/lib/problem.ts'

export const problemContentType = 'application/problem+json; charset=utf-8'

/** What Fastify itself refuses, by its code. */
const ofFastify: Record<string, ProblemCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'bad_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'bad_request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_ASYNC_CONSTRAINT: 'bad_request',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
}

/** PostgreSQL's refusals that mean "not now", not "broken": https://www.postgresql.org/docs/current/errcodes-appendix.html */
const isUnavailable = (code: unknown): boolean =>
  typeof code === 'string' &&
  (/^(08|53|57)/.test(code) ||
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT'].includes(code) ||
    /^(40001|40P01|55P03)$/.test(code))

/** PostgreSQL refused a value that nobody refused before it (22: data exception). */
const isBadValue = (code: unknown): boolean => typeof code === 'string' && /^22/.test(code)

export const toProblem = (error: unknown): Problem => {
  if (error instanceof Problem) return error
  const { code, statusCode, message } = (error ?? {}) as Partial<FastifyError>
  const known = code === undefined ? undefined : ofFastify[code]
  if (known) return new Problem(known, { cause: error })
  if (
    isUnavailable(code) ||
    message === 'Connection terminated unexpectedly' ||
    message?.startsWith('timeout exceeded when trying to connect')
  )
    return new Problem('unavailable', { retryAfter: 1, log: message ?? '', cause: error })
  if (isBadValue(code)) return new Problem('invalid', { log: message ?? '', cause: error })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const found = (Object.keys(problems) as ProblemCode[]).find((name) => problems[name].status === statusCode)
    return new Problem(found ?? 'bad_request', { cause: error })
  }
  return new Problem('internal', { log: message ?? String(error), cause: error })
}

export interface ProblemDocument {
  type: string
  title: string
  status: number
  code: ProblemCode
  detail: string
  instance?: string
  errors?: { pointer: string; detail: string }[]
}

export const problemDocument = (problem: Problem, requestId: string | undefined): ProblemDocument => ({
  type: 'about:blank',
  title: problems[problem.code].title,
  status: problem.status,
  code: problem.code,
  detail: problem.detail,
  ...(requestId ? { instance: `urn:signet:request:${requestId}` } : {}),
  ...(problem.errors.length ? { errors: problem.errors } : {}),
})

export const sendProblem = (reply: FastifyReply, problem: Problem, requestId: string | undefined) => {
  if (problem.retryAfter !== undefined) reply.header('retry-after', String(Math.max(1, Math.ceil(problem.retryAfter))))
  if (problem.code === 'unauthenticated' && !reply.hasHeader('www-authenticate')) reply.header('www-authenticate', 'Bearer realm="signet"')
  return reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    .header('content-type', problemContentType)
    .send(JSON.stringify(problemDocument(problem, requestId)))
}

/** Sets both handlers on a Fastify instance or a part of one. */
export const handleProblems = (app: FastifyInstance, log: Log): void => {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    const requestId = requestIdOf(request)
    if (problem.status >= 500 || problem.log) {
      log[problem.code === 'internal' ? 'error' : 'warn'](
        {
          event: 'api.request.failed',
          'http.request.id': requestId,
          'http.route': request.routeOptions.url,
          code: problem.code,
          reason: problem.log,
          ...(problem.code === 'internal' ? { stack: (problem.cause as Error | undefined)?.stack ?? problem.stack } : {}),
        },
        'a request failed',
      )
    }
    return sendProblem(reply, problem, requestId)
  })
  app.setNotFoundHandler((request, reply) => sendProblem(reply, new Problem('not_found'), requestIdOf(request)))
}

/** What Fastify refuses before it has a route, as `frameworkErrors` of the whole instance: a path that can't be read or is too long names nothing. */
export const refuseUnrouted = (_error: unknown, request: { raw: IncomingMessage }, reply: FastifyReply): void => {
  sendProblem(reply, new Problem('not_found'), getCaller(request.raw).requestId)
}

const requestIdOf = (request: FastifyRequest): string | undefined => {
  try {
    return getCaller(request.raw).requestId
  } catch {
    return undefined
  }
}
