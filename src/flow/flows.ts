/**
 * The flows there are. Constants for now, in the shape of the Flow kind that will take their place: a designation, and stages in order,
 * each with its settings.
 */
import type { StageName } from './stages/index.ts'

export type Designation =
  | 'authentication'
  | 'authorization'
  | 'enrollment'
  | 'recovery'
  | 'invalidation'
  | 'unenrollment'
  | 'stage_configuration'

export interface Flow {
  name: string
  designation: Designation
  /** Milliseconds an attempt may take. */
  attemptTtlMs: number
  stages: readonly { stage: StageName; settings?: Record<string, unknown> }[]
}

const halfAnHour = 30 * 60_000

const flows: Readonly<Record<string, Flow>> = {
  authentication: {
    name: 'authentication',
    designation: 'authentication',
    attemptTtlMs: halfAnHour,
    stages: [{ stage: 'identification' }, { stage: 'password' }, { stage: 'user_login', settings: { sessionSeconds: 12 * 3_600 } }],
  },
  authorization: { name: 'authorization', designation: 'authorization', attemptTtlMs: halfAnHour, stages: [{ stage: 'consent' }] },
  invalidation: { name: 'invalidation', designation: 'invalidation', attemptTtlMs: halfAnHour, stages: [{ stage: 'user_logout' }] },
}

export const findFlow = (name: string): Flow | undefined => (Object.hasOwn(flows, name) ? flows[name] : undefined)
