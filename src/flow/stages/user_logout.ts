import { endSession, findSession } from '#/identity/sessions.ts'
import type { Stage } from '../stage.ts'

/** Asks before it ends the session: a link alone signs nobody out. */
export const user_logout: Stage = {
  challenge: async (deps, { request, now }) => {
    const session = request.session ? await findSession(deps.db, request.session, now) : undefined
    return session ? { kind: 'ask', ask: { fields: [], mistakes: [] } } : { kind: 'passed', facts: {} }
  },
  answer: async (deps, { request, now }) => {
    const session = request.session ? await findSession(deps.db, request.session, now) : undefined
    if (!session) return { kind: 'passed', facts: {}, session: { kind: 'ended' } }
    const { network, requestId } = request
    await endSession(deps.db, session.uid, { actor: session.user.username, network, requestId }, now)
    return { kind: 'passed', facts: { user_id: session.user.id, username: session.user.username }, session: { kind: 'ended' } }
  },
}
