/**
 * How a protocol has a person go through a flow, knowing nothing of stages: it begins an attempt that is to come back to `next`, sends
 * the browser to `location`, and when the browser returns asks for the outcome under its own reference.
 */

import type { AuthServerRef } from '#/lib/http.ts'
import type { Db } from '#/lib/sql.ts'
import type { Context, Facts } from './stage.ts'

export interface NewAttempt {
  /** Name of the flow, such as `authentication` or `authorization`. */
  flow: string
  /** Where the browser goes at the end: a path as it stands in the address bar, so with the AuthServer's prefix. Anything else becomes its root. */
  next: string
  /** The beginner's own name of it (an interaction's uid), by which `findOutcome` finds it. Without one there is nobody to deny to. */
  reference?: string
  context: Context
  authServer: AuthServerRef
  /** The request's Cookie header. */
  cookies: string | undefined
}

export interface BegunAttempt {
  attempt: string
  /** Path to redirect to, with the AuthServer's prefix. */
  location: string
  /** Value for a Set-Cookie header, when this browser had none yet. */
  setCookie: string | undefined
}

export type FoundOutcome =
  | { state: 'passed'; facts: Facts }
  /** `access_denied` when the person declined. */
  | { state: 'denied'; reason: string }
  | { state: 'running'; location: string }

export declare const beginAttempt: (deps: { db: Db }, attempt: NewAttempt, now: Date) => Promise<BegunAttempt>

/** The newest attempt of that flow and reference in this very browser; undefined when there is none or it has expired. */
export declare const findOutcome: (
  deps: { db: Db },
  by: { flow: string; reference: string; authServer: AuthServerRef; cookies: string | undefined },
  now: Date,
) => Promise<FoundOutcome | undefined>
