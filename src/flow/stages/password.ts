import type { User } from '#/identity/user.ts'
import { findPassword } from '#/model/passwords.ts'
import { acrOf } from '#/policy/acr.ts'
import { findLockOut, judgePassword, passwordCounters } from '../failures.ts'
import { type Ask, type Facts, foreseen, lockedOut, type Stage, type StageInput, textIn } from '../stage.ts'

/** Asked for every name, and every wrong answer is the same one. Whoever has proven it already, or came with a passkey that verified them, is not asked. */
export const password: Stage = {
  challenge: async (_, { facts: { amr = [] } }) =>
    amr.includes('pwd') || acrOf(amr) === 'phr' ? { kind: 'passed', facts: {} } : { kind: 'ask', ask: ask() },
  answer: async (deps, input, answer) => {
    const plain = textIn(answer, 'password')
    if (plain === '') return { kind: 'failed', reason: 'InvalidAnswer', ask: ask('mistake.password_required') }
    const { username: login = '', user_id } = input.facts
    const judged = await judgePassword(deps, { login, plain, network: input.request.network, user_id }, input.now)
    if (judged.kind === 'locked_out') return lockedOut(ask('mistake.locked_out'), judged.retryAfter)
    if (judged.kind === 'wrong') return { kind: 'failed', reason: 'InvalidCredentials', ask: ask('mistake.credentials') }
    return { kind: 'passed', facts: { ...provenBy(judged.holder, input), password_version: judged.holder.passwordVersion } }
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
