import { endSession, findSession } from '#/identity/sessions.ts'
import type { FlowDeps, Stage, StageInput } from '../stage.ts'

/** Asks before it ends the session: a link alone signs nobody out. */
export const user_logout: Stage = {
  challenge: async (deps, { request, now }) => {
    const session = await findOwn(deps, { request, now })
    return session ? { kind: 'ask', ask: { fields: [], mistakes: [] } } : { kind: 'passed', facts: {} }
  },
  answer: async (deps, { request, now }) => {
    const session = await findOwn(deps, { request, now })
    if (!session) return { kind: 'passed', facts: {}, session: { kind: 'ended' } }
    const { network, requestId } = request
    await endSession(deps.db, session.uid, { actor: session.user.username, network, requestId }, now)
    return { kind: 'passed', facts: { user_id: session.user.id, username: session.user.username }, session: { kind: 'ended' } }
  },
  foresee: async (_deps, _input, { user: { id: user_id, username } }) => ({
    kind: 'asked',
    ask: { fields: [], mistakes: [] },
    facts: { user_id, username },
  }),
}

/** Of this issuer: the cookie of one at `/` reaches those below it too. */
const findOwn = async (deps: FlowDeps, { request, now }: Pick<StageInput, 'request' | 'now'>) => {
  const session = request.session ? await findSession(deps.db, request.session, now, request.network) : undefined
  return session?.issuer === request.authServer.issuerUrl ? session : undefined
}
