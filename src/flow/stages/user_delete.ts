import { deleteUser, findUser } from '#/identity/users.ts'
import type { FlowDeps, Stage, StageInput } from '../stage.ts'

/** Asks once more, then removes the person with all that hangs on them. What is left is the event. */
export const user_delete: Stage = {
  challenge: async (deps, input) =>
    (await findPerson(deps, input)) ? { kind: 'ask', ask: { fields: [], mistakes: [] } } : { kind: 'denied', reason: 'access_denied' },
  answer: async (deps, input) => {
    const user = await findPerson(deps, input)
    if (!user) return { kind: 'denied', reason: 'access_denied' }
    const { network, requestId } = input.request
    await deleteUser(deps.db, user.id, { actor: user.username, network, requestId }, input.now)
    return { kind: 'passed', facts: {}, session: { kind: 'ended' } }
  },
}

const findPerson = async ({ db }: FlowDeps, { facts: { user_id } }: StageInput) =>
  user_id === undefined ? undefined : await findUser(db, user_id)
