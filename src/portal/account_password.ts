/** A person changes their password: the old one is asked, counted like a sign-in, and every other session ends. */
import { judgePassword } from '#/flow/failures.ts'
import { setPassword, UnfitPassword } from '#/identity/passwords.ts'
import { passwordRulesOf } from '#/resources/password_rules.ts'
import type { PortalDeps } from './deps.ts'
import { type Person, toldChangeOf } from './person.ts'

interface Mistake {
  field: string
  /** Of the message catalogue. */
  key: string
  values?: Record<string, unknown>
}

export type PasswordChanged = { kind: 'changed' } | { kind: 'refused'; mistakes: Mistake[]; retryAfter?: number }

const refused = (field: string, key: string, rest: { retryAfter?: number; values?: Record<string, unknown> } = {}): PasswordChanged => {
  const { values, retryAfter } = rest
  return {
    kind: 'refused',
    mistakes: [{ field, key, ...(values ? { values } : {}) }],
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}

export const changePassword = async (
  deps: Pick<PortalDeps, 'db' | 'passwords' | 'snapshot' | 'settings' | 'rootSecret'>,
  person: Person,
  { currentPassword = '', password = '', passwordRepeat = '' }: Readonly<Record<string, string>>,
  now: Date,
): Promise<PasswordChanged> => {
  const { user, uid } = person.session
  if (currentPassword === '') return refused('currentPassword', 'mistake.password_required')
  if (password !== passwordRepeat) return refused('passwordRepeat', 'mistake.password_repeat')
  if (password === currentPassword) return refused('password', 'mistake.password_same')
  const judged = await judgePassword(deps, { login: user.username, plain: currentPassword, network: person.network, user_id: user.id }, now)
  if (judged.kind === 'locked_out') return refused('currentPassword', 'mistake.locked_out', { retryAfter: judged.retryAfter })
  if (judged.kind === 'wrong') return refused('currentPassword', 'mistake.current_password')
  const rules = passwordRulesOf(deps.snapshot, person.authServer)
  try {
    // Only now: what it answers tells of earlier passwords, so whoever found a session open must not hear it.
    await setPassword(deps, user.id, password, { ...toldChangeOf(person, deps), keepSession: uid, rules }, now)
  } catch (error) {
    if (!(error instanceof UnfitPassword)) throw error
    return { kind: 'refused', mistakes: error.mistakes.map(({ code, values }) => ({ field: 'password', key: `mistake.${code}`, values })) }
  }
  return { kind: 'changed' }
}
