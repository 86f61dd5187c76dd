import { Problem } from '#/lib/problem.ts'
import type { FlowAttempt } from '#/model/flow_attempts.ts'

/** An attempt that is over, at another stage, expired, or not this browser's. What is known of it, for a page to lead on from. */
export class AttemptOver extends Problem {
  readonly known: { state: FlowAttempt['state']; next: string } | undefined
  constructor(detail: string, attempt?: FlowAttempt) {
    super('conflict', { detail })
    this.known = attempt && { state: attempt.state, next: attempt.next }
  }
}
