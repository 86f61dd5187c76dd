/** What of a flow is worth an event: pure. Names that nobody has are not told apart from others. */
import type { NewEvent } from '#/events/record.ts'
import type { Loaded } from './executor.ts'
import type { Failure, FlowRequest } from './stage.ts'
import type { StageName } from './stages/index.ts'

type Happened = { kind: 'passed' } | { kind: 'denied'; reason: string } | { kind: 'failed'; stage: StageName; reason: Failure }

export const eventOf = (happened: Happened, { flow, facts, context }: Loaded, request: FlowRequest): NewEvent | undefined => {
  const action = actionOf(happened, flow.designation)
  if (!action) return undefined
  const person = facts.username ?? context.user?.name ?? facts.user_id
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
      ...(happened.kind === 'passed' ? { amr: facts.amr } : { reason: happened.reason }),
      ...(happened.kind === 'failed' ? { stage: happened.stage } : {}),
    },
  }
}

const actionOf = (happened: Happened, designation: string): string | undefined => {
  // A field left empty is nobody's business.
  if (happened.kind === 'failed' && happened.reason === 'InvalidAnswer') return undefined
  if (designation === 'authentication')
    return { passed: 'sign_in.succeeded', failed: 'sign_in.failed', denied: 'sign_in.declined' }[happened.kind]
  if (designation === 'authorization') return { passed: 'consent.given', failed: undefined, denied: 'consent.declined' }[happened.kind]
  if (designation === 'invalidation' && happened.kind === 'passed') return 'sign_out.succeeded'
  return undefined
}
