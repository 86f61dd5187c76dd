import { passwordExpired, setPassword, UnfitPassword } from '#/identity/passwords.ts'
import { findUser } from '#/identity/users.ts'
import { passwordRulesOf } from '#/resources/password_rules.ts'
import { changeBy } from '../change_by.ts'
import { passwordMistakes } from '../password_mistakes.ts'
import { type Ask, type Facts, type FieldMistake, foreseen, type Stage, type StageInput, textIn } from '../stage.ts'

/** Has a person who has proven who they are choose a new password: one that has expired, or any. It counts as proven by that. */
export const password_change: Stage = {
  challenge: async (deps, input) => {
    const rules = passwordRulesOf(deps.snapshot, input.request.authServer)
    const isForExpired = input.settings.only === 'expired'
    if (isForExpired && rules.maxAge === undefined) return { kind: 'passed', facts: {} }
    const user = await findPerson(deps, input)
    if (!user) return { kind: 'denied', reason: 'access_denied' }
    if (isForExpired && !(await passwordExpired(deps.db, user, rules, input.now))) return { kind: 'passed', facts: {} }
    return { kind: 'ask', ask: ask([]) }
  },
  answer: async (deps, input, answer) => {
    const user = await findPerson(deps, input)
    if (!user) return { kind: 'denied', reason: 'access_denied' }
    const password = textIn(answer, 'password')
    const wrong = (mistakes: FieldMistake[]) => ({ kind: 'failed', reason: 'InvalidAnswer', ask: ask(mistakes) }) as const
    if (password === '') return wrong([{ field: 'password', detail: 'mistake.password_required' }])
    if (password !== textIn(answer, 'passwordRepeat')) return wrong([{ field: 'passwordRepeat', detail: 'mistake.password_repeat' }])
    const rules = passwordRulesOf(deps.snapshot, input.request.authServer)
    try {
      await setPassword(deps, user.id, password, { ...changeBy(user.username, deps, input.request), rules }, input.now)
    } catch (error) {
      if (error instanceof UnfitPassword) return wrong(passwordMistakes(error))
      throw error
    }
    return { kind: 'passed', facts: { ...provenBy(input), password_version: input.now.getTime() } }
  },
  foresee: async (deps, input) => foreseen(await password_change.challenge(deps, input), provenBy(input)),
}

const provenBy = ({ facts: { amr = [] }, now }: StageInput): Facts => ({
  amr: [...new Set([...amr, 'pwd'])],
  auth_time: Math.floor(now.getTime() / 1_000),
})

const findPerson = async ({ db }: Parameters<Stage['challenge']>[0], { facts: { user_id } }: StageInput) => {
  const user = user_id === undefined ? undefined : await findUser(db, user_id)
  return user?.active ? user : undefined
}

const ask = (mistakes: FieldMistake[]): Ask => ({
  fields: [
    { name: 'password', type: 'password', required: true, autocomplete: 'new-password' },
    { name: 'passwordRepeat', type: 'password', required: true, autocomplete: 'new-password' },
  ],
  mistakes,
})
