import { findSession } from '#/identity/sessions.ts'
import type { Facts, FlowDeps, Stage, StageInput } from '../stage.ts'

/** Asks the person for what the context names, all or nothing. Only the one it is asked of can give it. */
export const consent: Stage = {
  challenge: async (deps, input) =>
    (await findPerson(deps, input)) ? { kind: 'ask', ask: { fields: [], mistakes: [] } } : { kind: 'denied', reason: 'session_changed' },
  answer: async (deps, input) => {
    const person = await findPerson(deps, input)
    if (!person) return { kind: 'denied', reason: 'session_changed' }
    return { kind: 'passed', facts: { ...person, ...agreed(input) } }
  },
  foresee: async (_, input, { user: { id: user_id, username } }) => ({
    kind: 'asked',
    ask: { fields: [], mistakes: [] },
    facts: { user_id, username, ...agreed(input) },
  }),
}

const agreed = ({ context: { scopes = [], claims = [], resources = {} } }: StageInput): Facts => ({
  consent: { scopes, claims, resources },
})

/** The one it is asked of, if they are signed in. */
const findPerson = async (deps: FlowDeps, { context, request, now }: StageInput): Promise<Facts | undefined> => {
  const session = request.session ? await findSession(deps.db, request.session, now, request.network) : undefined
  if (!session || session.user.id !== context.user?.user_id) return undefined
  return { user_id: session.user.id, username: session.user.username }
}
