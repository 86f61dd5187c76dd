import { findSession } from '#/identity/sessions.ts'
import type { FlowDeps, Stage, StageInput } from '../stage.ts'

/** Asks the person for what the context names, all or nothing. Only the one it is asked of can give it. */
export const consent: Stage = {
  challenge: async (deps, input) =>
    (await isThatPerson(deps, input)) ? { kind: 'ask', ask: { fields: [], mistakes: [] } } : { kind: 'denied', reason: 'session_changed' },
  answer: async (deps, input) => {
    if (!(await isThatPerson(deps, input))) return { kind: 'denied', reason: 'session_changed' }
    const { scopes = [], claims = [], resources = {}, user } = input.context
    return { kind: 'passed', facts: { ...(user ? { user_id: user.user_id } : {}), consent: { scopes, claims, resources } } }
  },
}

const isThatPerson = async (deps: FlowDeps, { context, request, now }: StageInput): Promise<boolean> => {
  const session = request.session ? await findSession(deps.db, request.session, now) : undefined
  return context.user !== undefined && session?.user.id === context.user.user_id
}
