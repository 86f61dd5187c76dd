/** How a Fastify route tells of a Problem: problem details to the caller, the reason to the log. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { getCaller } from './http.ts'
import type { Log } from './log.ts'
import type { Problem } from './problem.ts'
import { problemContentType, problemDocument, toProblem } from './problem_document.ts'

/** `more` stands beside the registered members (RFC 9457 section 3.2). */
export const sendProblem = (reply: FastifyReply, problem: Problem, requestId: string | undefined, more: object = {}) => {
  setRetryAfter(reply, problem)
  if (problem.code === 'unauthenticated' && !reply.hasHeader('www-authenticate')) reply.header('www-authenticate', 'Bearer realm="signet"')
  return reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    .header('content-type', problemContentType)
    .send(JSON.stringify({ ...problemDocument(problem, requestId), ...more }))
}

export const setRetryAfter = (reply: FastifyReply, { retryAfter }: Problem): void => {
  if (retryAfter !== undefined) reply.header('retry-after', String(Math.max(1, Math.ceil(retryAfter))))
}

/** A line for what is our fault, or has something to say to the operator. `event` is a fixed dotted name. */
export const logProblem = (log: Log, event: string, request: FastifyRequest, problem: Problem): void => {
  if (problem.status < 500 && !problem.log) return
  log[problem.code === 'internal' ? 'error' : 'warn'](
    {
      event,
      'http.request.id': requestIdOf(request),
      'http.route': request.routeOptions.url,
      code: problem.code,
      reason: problem.log,
      ...(problem.code === 'internal' ? { stack: (problem.cause as Error | undefined)?.stack ?? problem.stack } : {}),
    },
    'a request failed',
  )
}

/** Every error of this instance, or part of one, as problem details. */
export const answerWithProblems = (app: FastifyInstance, log: Log, event: string): void => {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    logProblem(log, event, request, problem)
    return sendProblem(reply, problem, requestIdOf(request))
  })
}

/** Undefined for a request that no router has seen. */
export const requestIdOf = (request: FastifyRequest): string | undefined => {
  try {
    return getCaller(request.raw).requestId
  } catch {
    return undefined
  }
}
