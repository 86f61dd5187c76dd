import type { z } from 'zod'
import type { FieldError } from '#/lib/problem.ts'

const listed = 50

/** RFC 6901. */
export const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** One entry for each bad field, unknown ones included. */
export const fieldErrors = (error: z.ZodError): FieldError[] => error.issues.flatMap(ofIssue).slice(0, listed)

const ofIssue = (issue: z.core.$ZodIssue): FieldError[] => {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ pointer: pointerOf([...issue.path, key]), detail: 'there is no such field' }))
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  return [{ pointer: pointerOf(issue.path), detail: isMissing ? 'is required' : issue.message }]
}
