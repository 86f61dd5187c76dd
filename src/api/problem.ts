/** Renders every refusal as problem details (RFC 9457). Nothing but a Problem's own words leaves; the rest goes to the log. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { getCaller } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import { Problem } from '#/lib/problem.ts'
import { answerWithProblems, requestIdOf, sendProblem } from '#/lib/problem_reply.ts'

/** Sets both handlers on a Fastify instance or a part of one. `methodsAt`: which methods the address of a request takes. */
export const handleProblems = (app: FastifyInstance, log: Log, methodsAt: (url: string) => readonly string[]): void => {
  answerWithProblems(app, log, 'api.request.failed')
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsAt(request.url)
    if (methods.length === 0) return sendProblem(reply, new Problem('not_found'), requestIdOf(request))
    const allow = methods.join(', ')
    return sendProblem(
      reply.header('allow', allow),
      new Problem('method_not_allowed', { detail: `this address takes ${allow}` }),
      requestIdOf(request),
    )
  })
}

/** What Fastify refuses before it has a route, as `frameworkErrors` of the whole instance: a path that can't be read or is too long names nothing. */
export const refuseUnrouted = (_error: unknown, request: { raw: IncomingMessage }, reply: FastifyReply): void => {
  sendProblem(reply, new Problem('not_found'), getCaller(request.raw).requestId)
}
