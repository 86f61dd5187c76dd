import { z } from 'zod'
import { challengeSchema, denySchema, doneSchema, postSchema, refusedSchema } from '#/flow/challenge.ts'
import { problemSchema } from '#/lib/problem_document.ts'
import { type AnswerDoc, type DescribedEndpoint, json } from './endpoint.ts'

const common = {
  path: '/v1/flows/{name}',
  tag: 'flows',
  access: 'public',
  params: z.strictObject({ name: z.string().describe('`authentication`, `invalidation`, …') }),
} as const

const step: AnswerDoc = {
  description: 'What the flow asks, or its end (`stage` is then `done` or `deny`).',
  schema: z.union([challengeSchema, doneSchema, denySchema]),
}
const noFlow: AnswerDoc = { description: 'There is no such flow.' }
const over: AnswerDoc = { description: 'The attempt is unknown, of another browser, expired, over, or at another stage.' }
const refused = (description: string): AnswerDoc => ({
  description,
  schema: z.union([refusedSchema, problemSchema]),
  contentType: 'application/problem+json',
})

/** The flows as JSON, for front ends of one's own. They are served by `#/flow/json_routes.ts`; here they are described. */
export const flows: DescribedEndpoint[] = [
  {
    ...common,
    method: 'GET',
    summary: 'Begin an attempt of a flow, or see where one stands',
    query: z.strictObject({
      attempt: z.string().optional().describe('An attempt of this browser. Absent: a new one begins, and its cookie is set.'),
      next: z.string().optional().describe('Path of ours where the person goes on at the end; anything else becomes `/`.'),
      ui_locales: z.string().optional().describe('Languages of the texts, best first.'),
    }),
    answers: { 200: step, 400: { description: 'A parameter comes more than once.' }, 404: noFlow, 409: over },
  },
  {
    ...common,
    method: 'POST',
    summary: 'Answer what a flow has asked',
    body: { schema: postSchema, contentTypes: [json] },
    answers: {
      200: step,
      400: refused('The answer is wrong: a problem with the challenge. Or the body is malformed: a problem alone.'),
      403: { description: 'The request comes from another site.' },
      404: noFlow,
      409: over,
      413: { description: 'The body is too large.' },
      415: { description: 'The body is not JSON.' },
      429: refused('Too many wrong answers; Retry-After says how long to wait.'),
    },
  },
]
