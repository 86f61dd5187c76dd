import { checkPassword } from '#/identity/passwords.ts'
import type { User } from '#/identity/user.ts'
import { findPassword } from '#/model/passwords.ts'
import { acrOf } from '#/policy/acr.ts'
import { addFailure, findLockOut, passwordCounters } from '../failures.ts'
import { type Ask, type Facts, foreseen, lockedOut, type Stage, type StageInput, textIn } from '../stage.ts'

/** More is refused before it is hashed. */
const longest = 1_024

/**
 * Asked for every name, and every wrong answer is the same one. Failures are looked at before the hash, to spare it, and again after
 * it: of a thousand posts sent at once only those that come before the tenth failure can succeed. Whoever has proven it already, or came with a
 * passkey that verified them, is not asked.
 */
export const password: Stage = {
  challenge: async (_, { facts: { amr = [] } }) =>
    amr.includes('pwd') || acrOf(amr) === 'phr' ? { kind: 'passed', facts: {} } : { kind: 'ask', ask: ask() },
  answer: async (deps, input, answer) => {
    const plain = textIn(answer, 'password')
    if (plain === '') return { kind: 'failed', reason: 'InvalidAnswer', ask: ask('mistake.password_required') }
    const username = input.facts.username ?? ''
    const counted = passwordCounters({ username, network: input.request.network })
    const before = await findLockOut(deps.db, counted, input.now)
    if (before !== undefined) return lockedOut(ask('mistake.locked_out'), before)
    const user = plain.length > longest ? undefined : await checkPassword(deps, username, plain)
    // Whoever is known already proves it for themselves.
    if (!user || (input.facts.user_id !== undefined && input.facts.user_id !== user.id)) {
      await addFailure(deps.db, counted, input.now)
      return { kind: 'failed', reason: 'InvalidCredentials', ask: ask('mistake.credentials') }
    }
    const after = await findLockOut(deps.db, counted, input.now)
    if (after !== undefined) return lockedOut(ask('mistake.locked_out'), after)
    return { kind: 'passed', facts: { ...provenBy(user, input), password_version: user.passwordVersion } }
  },
  foresee: async (deps, input, { user }) => {
    const outcome = foreseen(await password.challenge(deps, input), provenBy(user, input))
    if (outcome.kind !== 'asked') return outcome
    const stuck = (reason: string, retryAfter?: number) =>
      ({ kind: 'stuck', ask: outcome.ask, reason, ...(retryAfter === undefined ? {} : { retryAfter }) }) as const
    if (!user.active || user.serviceAccount) return stuck(user.active ? 'service_account' : 'inactive')
    if (!(await findPassword(deps.db, user.id))) return stuck('no_password')
    const counted = passwordCounters({ username: input.facts.username ?? '', network: input.request.network })
    const locked = await findLockOut(deps.db, counted, input.now)
    return locked === undefined ? outcome : stuck('locked_out', locked)
  },
}

const provenBy = ({ id, username }: Pick<User, 'id' | 'username'>, { facts: { amr = [] }, now }: StageInput): Facts => ({
  user_id: id,
  username,
  amr: [...new Set([...amr, 'pwd'])],
  auth_time: Math.floor(now.getTime() / 1_000),
})

const ask = (mistake?: string): Ask => ({
  fields: [{ name: 'password', type: 'password', required: true, autocomplete: 'current-password' }],
  mistakes: mistake ? [{ field: 'password', detail: mistake }] : [],
})
