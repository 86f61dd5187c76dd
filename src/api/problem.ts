/** Renders every refusal as problem details (RFC 9457). Nothing but a Problem's own words leaves; the rest goes to the log. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { getCaller } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import { Problem } from '#/lib/problem.ts'
import { problemContentType, problemDocument, toProblem } from '#/lib/problem_document.ts'

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
