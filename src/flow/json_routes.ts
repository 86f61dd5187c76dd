/** /api/v1/flows/{name}: the same flows for other front ends. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '#/lib/problem.ts'
import { answerWithProblems, sendProblem } from '#/lib/problem_reply.ts'
import { beginByAddress } from './begin.ts'
import type { FlowAnswer, RefusedMembers } from './challenge.ts'
import type { FlowRoutesDeps } from './deps.ts'
import { postAttempt, type Step, showAttempt, showBegun } from './executor.ts'
import { getFlow } from './flows.ts'
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
import { challengeOf } from './stage_page.ts'

const path = '/api/v1/flows/:name'

export const jsonRoutes =
  (deps: FlowRoutesDeps): FastifyPluginAsync =>
  async (app) => {
    takeOnly(app, 'application/json', parseJson)
    answerWithProblems(app, deps.log, 'flow.request.failed')

    const send = (request: FastifyRequest, reply: FastifyReply, step: Step, flowRequest: FlowRequest, now: Date) => {
      setSession(reply, step, flowRequest, now)
      reply.header('cache-control', 'no-store')
      const answer = (body: FlowAnswer) => reply.send(body)
      if (step.kind === 'done') return answer({ stage: 'done', next: step.next })
      if (step.kind === 'deny') return answer({ stage: 'deny', reason: step.reason, ...(step.isBegunForOther ? { next: step.next } : {}) })
      const challenge = challengeOf(step, deps.pages, localesOf(step, request))
      if (step.kind === 'ask') return answer(challenge)
      const { retryAfter } = step
      const problem = new Problem(step.reason === 'LockedOut' ? 'too_many_requests' : 'bad_request', {
        detail: challenge.errors[0]?.detail ?? step.reason,
        errors: challenge.errors,
        ...(retryAfter === undefined ? {} : { retryAfter }),
      })
      const beside: RefusedMembers = { ...challenge, challenge }
      return sendProblem(reply, problem, flowRequest.requestId, beside)
    }

    app.get<{ Params: Params; Querystring: Query }>(path, async (request, reply) => {
      const now = deps.clock()
      const flowRequest = readFlowRequest(request)
      const { authServer } = flowRequest
      const flow = getFlow(deps, authServer, request.params.name)
      const known = single(request.query, 'attempt')
      if (known) return send(request, reply, await showAttempt(deps, { flow, attempt: known, request: flowRequest, now }), flowRequest, now)
      const beginning = await beginByAddress(
        deps,
        { flow, query: request.query, request: flowRequest, cookies: request.headers.cookie },
        now,
      )
      if (beginning.kind === 'sign_in_first') throw new Problem('unauthenticated', { detail: 'sign in first, and lately' })
      const { begun } = beginning
      if (begun.setCookie) reply.header('set-cookie', begun.setCookie)
      const asHolder = { ...flowRequest, browser: begun.browser }
      return send(request, reply, await showBegun(deps, { flow, begun, request: asHolder, now }), asHolder, now)
    })

    app.post<{ Params: Params }>(path, { onRequest: refuseOtherOrigins }, async (request, reply) => {
      const now = deps.clock()
      const flowRequest = readFlowRequest(request)
      const flow = getFlow(deps, flowRequest.authServer, request.params.name)
      const step = await postAttempt(deps, { flow, post: readPost(request.body), request: flowRequest, now })
      return send(request, reply, step, flowRequest, now)
    })
  }

const parseJson = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    throw new Problem('bad_request', { detail: 'the body is not JSON' })
  }
}
