/** A person changes their password: the old one is asked, counted like a sign-in, and every other session ends. */
import { addFailure, findLockOut, passwordCounters } from '#/flow/failures.ts'
import { checkNewPassword, checkPassword, type PasswordDeps, setPassword } from '#/identity/passwords.ts'
import { Problem } from '#/lib/problem.ts'
import { changeOf, type Person } from './person.ts'

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
  deps: PasswordDeps,
  person: Person,
  { currentPassword = '', password = '', passwordRepeat = '' }: Readonly<Record<string, string>>,
  now: Date,
): Promise<PasswordChanged> => {
  const { user, uid } = person.session
  if (currentPassword === '') return refused('currentPassword', 'mistake.password_required')
  if (password !== passwordRepeat) return refused('passwordRepeat', 'mistake.password_repeat')
  const unfit = unfitness(password)
  if (unfit) return refused('password', 'mistake.password_unfit')
  if (password === currentPassword) return refused('password', 'mistake.password_same')
  const counted = passwordCounters({ username: user.username, network: person.network })
  const before = await findLockOut(deps.db, counted, now)
  if (before !== undefined) return refused('currentPassword', 'mistake.locked_out', { retryAfter: before })
  const holder = await checkPassword(deps, user.username, currentPassword)
  if (holder?.id !== user.id) {
    await addFailure(deps.db, counted, now)
    return refused('currentPassword', 'mistake.current_password')
  }
  const after = await findLockOut(deps.db, counted, now)
  if (after !== undefined) return refused('currentPassword', 'mistake.locked_out', { retryAfter: after })
  await setPassword(deps, user.id, password, { ...changeOf(person), keepSession: uid }, now)
  return { kind: 'changed' }
}

const unfitness = (plain: string): Problem | undefined => {
  try {
    checkNewPassword(plain)
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}
