/** Every way our REST refuses (RFC 9457): code, HTTP status, title. Thrown anywhere below, rendered once at the entrance. */
export const problems = {
  bad_request: { status: 400, title: 'The request is malformed' },
  unauthenticated: { status: 401, title: 'Sign in or send a token' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'There is no such thing' },
  method_not_allowed: { status: 405, title: 'This address does not take that method' },
  conflict: { status: 409, title: 'It exists already, or is over' },
  precondition_failed: { status: 412, title: 'It changed in the meantime' },
  too_large: { status: 413, title: 'The request is too large' },
  unsupported_media_type: { status: 415, title: 'This content type is not understood here' },
  misdirected: { status: 421, title: 'This host is not served here' },
  invalid: { status: 422, title: 'Some fields are not valid' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something broke on our side' },
  unavailable: { status: 503, title: 'Not available at the moment' },
} as const

export type ProblemCode = keyof typeof problems

export interface FieldError {
  /** JSON pointer (RFC 6901) into what was sent. */
  pointer: string
  detail: string
}

export interface ProblemDetails {
  /** What the caller is told. */
  detail?: string
  errors?: FieldError[]
  /** What only the log is told. */
  log?: string
  /** Seconds, for 429 and 503. */
  retryAfter?: number
  cause?: unknown
}

export class Problem extends Error {
  readonly code: ProblemCode
  readonly status: number
  readonly detail: string
  readonly errors: FieldError[]
  readonly log: string | undefined
  readonly retryAfter: number | undefined
  constructor(code: ProblemCode, { detail, errors = [], log, retryAfter, cause }: ProblemDetails = {}) {
    const { status, title } = problems[code]
    super(detail ?? title, { cause })
    this.code = code
    this.status = status
    this.detail = detail ?? title
    this.errors = errors
    this.log = log
    this.retryAfter = retryAfter
  }
}
