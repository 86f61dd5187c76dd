/** Any error as a Problem, and a Problem as the document that leaves (RFC 9457). Nothing but a Problem's own words leaves. */
import { z } from 'zod'
import { type FieldError, Problem, type ProblemCode, problems } from './problem.ts'

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
  const { code, statusCode, message } = (error ?? {}) as { code?: string; statusCode?: number; message?: string }
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

export const fieldErrorSchema = z.strictObject({
  pointer: z.string().describe('JSON pointer (RFC 6901) into what was sent.'),
  detail: z.string(),
}) satisfies z.ZodType<FieldError>

export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    code: z.enum(Object.keys(problems) as ProblemCode[]),
    detail: z.string(),
    instance: z.exactOptional(z.string()).describe('Names the request in our log.'),
    errors: z.exactOptional(z.array(fieldErrorSchema)),
  })
  .describe('RFC 9457.')

export type ProblemDocument = z.output<typeof problemSchema>

export const problemDocument = (problem: Problem, requestId: string | undefined): ProblemDocument => ({
  type: 'about:blank',
  title: problems[problem.code].title,
  status: problem.status,
  code: problem.code,
  detail: problem.detail,
  ...(requestId ? { instance: `urn:signet:request:${requestId}` } : {}),
  ...(problem.errors.length ? { errors: problem.errors } : {}),
})
