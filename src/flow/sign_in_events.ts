/** What of a flow is worth an event: pure. Names that nobody has are not told apart from others. */
import type { NewEvent } from '#/events/record.ts'
import type { Flow } from './flows.ts'
import type { Context, Facts, Failure, FlowRequest } from './stage.ts'
import type { StageName } from './stages/index.ts'

export type Happened = { kind: 'passed' } | { kind: 'denied'; reason: string } | { kind: 'failed'; stage: StageName; reason: Failure }

interface Where {
  /** As administrators know it. */
  attempt: string
  flow: Flow
  facts: Facts
  context: Context
  request: FlowRequest
}

/** Undefined for what nobody asks about later. */
export const eventOf = (happened: Happened, { attempt, flow, facts, context, request }: Where): NewEvent | undefined => {
  const action = actionOf(happened, flow, facts)
  if (!action) return undefined
  const person = facts.username ?? context.user?.name
  return {
    action,
    severity: happened.kind === 'failed' ? 'warning' : 'info',
    actor: person ?? 'anonymous',
    ...(person ? { target: { kind: 'User', name: person } } : {}),
    ...(context.client ? { client: context.client.client_id } : {}),
    network: request.network,
    requestId: request.requestId,
    data: {
      flow: flow.name,
      attempt,
      ...(happened.kind === 'passed' ? { amr: facts.amr } : { reason: happened.reason }),
      ...(happened.kind === 'failed' ? { stage: happened.stage } : {}),
    },
  }
}

export const conditionField = (stage_index: number): string => `spec.stages[${stage_index}].when`

/** A `when` that could not be evaluated: the attempt was refused for it. */
export const brokenConditionEvent = (
  { attempt, flow }: Pick<Where, 'attempt' | 'flow'>,
  stage_index: number,
  reason: string,
): NewEvent => ({
  action: 'configuration.error',
  severity: 'error',
  actor: 'flow',
  target: { kind: 'Flow', name: flow.name },
  data: {
    flow: flow.name,
    attempt,
    stage: flow.stages[stage_index]?.stage,
    field: conditionField(stage_index),
    reason: reason.slice(0, 300),
  },
})

const actions: Record<string, Partial<Record<Happened['kind'], string>>> = {
  authentication: { passed: 'sign_in.succeeded', failed: 'sign_in.failed', denied: 'sign_in.declined' },
  authorization: { passed: 'consent.given', denied: 'consent.declined' },
  invalidation: { passed: 'sign_out.succeeded' },
  enrollment: { passed: 'enrollment.succeeded' },
  recovery: { passed: 'recovery.succeeded', failed: 'recovery.failed' },
  stage_configuration: { failed: 'factor.failed' },
  unenrollment: { failed: 'sign_in.failed' },
}

const actionOf = (happened: Happened, { designation }: Flow, facts: Facts): string | undefined => {
  // A field left empty is nobody's business, nor is signing out of nothing. Whoever is locked out could otherwise write as many events as they like.
  if (happened.kind === 'failed' && happened.reason !== 'InvalidCredentials') return undefined
  if (designation === 'invalidation' && !facts.user_id) return undefined
  return actions[designation]?.[happened.kind]
}
