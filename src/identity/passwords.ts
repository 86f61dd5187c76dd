/** Passwords of users: set, checked, imported. Hashing happens outside of transactions, so that none is held open for it. */
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { keepPassword, trimPasswordHistory } from '#/model/password_history.ts'
import { findCountedLogin, findPassword, type Login, listImportedHashes, replacePasswordHash, storePassword } from '#/model/passwords.ts'
import { lockUserRow } from '#/model/users.ts'
import { isExpired, type PasswordRules } from '#/policy/password_rules.ts'
import { type Change, recordChange } from './change.ts'
import { checkNewPassword } from './new_password.ts'
import { notifyUser } from './notices.ts'
import type { PasswordHasher } from './password_hasher.ts'
import { endSessionsOf } from './sessions.ts'
import { parseStoredHash } from './stored_hash.ts'
import type { User } from './user.ts'
import { findUser, loginKeys } from './users.ts'

export { checkNewPassword, UnfitPassword } from './new_password.ts'
export { openPasswordHasher, type PasswordHasher } from './password_hasher.ts'

export interface PasswordDeps {
  db: Db
  passwords: PasswordHasher
}

export interface PasswordChange extends Change {
  /** The session in which a person changes their own; all others end. */
  keepSession?: string | undefined
}

/** What may become a password: the rules of the UserStore the person lives in. */
export interface NewPassword extends PasswordChange {
  rules: PasswordRules
}

/**
 * Sets a password and ends the user's sessions: the one door. Throws UnfitPassword with every mistake, Problem `not_found`, `invalid` (for
 * service accounts), `unavailable`.
 */
export const setPassword = async (
  { db, passwords }: PasswordDeps,
  user_id: string,
  plain: string,
  { rules, ...change }: NewPassword,
  now: Date,
): Promise<void> => {
  const user = await findPerson(db, user_id)
  await checkNewPassword({ db, passwords }, { plain, rules, person: user, user_id }, now)
  const hash = await passwords.hash(plain)
  // Of the last N that can not be taken again, one is the present one.
  await writePassword(db, user_id, hash, { ...change, keep: Math.max(0, rules.history - 1) }, now)
}

/** Stores what another system stored (`src/identity/schemes/` says which forms). Throws Problem `invalid` for a form or cost that is not taken, `not_found`. */
export const importPasswordHash = async (db: Db, user_id: string, hash: string, change: PasswordChange, now: Date): Promise<void> => {
  parseStoredHash(hash)
  await findPerson(db, user_id)
  await writePassword(db, user_id, hash, change, now)
}

const findPerson = async (db: Db, user_id: string): Promise<User> => {
  const user = await findUser(db, user_id)
  if (!user) throw new Problem('not_found')
  if (user.serviceAccount) throw new Problem('invalid', { errors: [{ pointer: '/password', detail: 'a service account has no password' }] })
  return user
}

/** `keep`: how many earlier ones are remembered; absent: those that are, and none is added. */
const writePassword = (db: Db, user_id: string, hash: string, { keep, ...change }: PasswordChange & { keep?: number }, now: Date) =>
  db.transaction(async (tx) => {
    await lockUserRow(tx, user_id)
    const { username } = await findPerson(tx, user_id)
    if (keep) await keepPassword(tx, user_id, now)
    if (keep !== undefined) await trimPasswordHistory(tx, user_id, keep)
    const replaced = await storePassword(tx, user_id, hash, now)
    await recordChange(tx, change, { action: 'user.password_changed', target: { kind: 'User', name: username } }, now)
    await endSessionsOf(tx, user_id, change, now, change.keepSession)
    if (replaced) await notifyUser(tx, user_id, { template: 'password_changed' }, change, now)
  })

/** `passwordVersion`: another one as soon as the password is another one. */
export type PasswordHolder = Pick<User, 'id' | 'username'> & { passwordVersion: number }

const versionOf = ({ changed_at }: { changed_at: Date | null }): number => changed_at?.getTime() ?? 0

/** Of the password that someone has now, or of having none. */
export const findPasswordVersion = async (db: Db, user_id: string): Promise<number> =>
  versionOf((await findPassword(db, user_id)) ?? { changed_at: null })

/** Who is meant by what a person typed, for `checkPassword`, and what is counted under these keys. */
export const findLogin = async (db: Db, login: string, counted: readonly Buffer[] = []) =>
  findCountedLogin(db, loginKeys(login) ?? { username_key: null, email_key: null }, counted)

/**
 * The user whose password this is. Undefined for a wrong password, an unknown name, an inactive user, a service account and a user without
 * password alike, and each after the same time. A hash that is not ours of today is replaced. Throws Problem `unavailable` when too many sign in.
 */
export const checkPassword = async (
  { db, passwords }: PasswordDeps,
  { login }: { login: Login | undefined },
  plain: string,
): Promise<PasswordHolder | undefined> => {
  const hash = login?.active && !login.service_account ? login.hash : null
  if (!login || hash === null) {
    await passwords.verifyNobody(plain)
    return undefined
  }
  const { ok, rehash } = await passwords.verify(hash, plain)
  if (!ok) return undefined
  if (rehash) await rehashPassword({ db, passwords }, login.user_id, hash, plain)
  return { id: login.user_id, username: login.username, passwordVersion: versionOf(login) }
}

/** To be called at the start: a failed sign-in takes as long as one with the dearest hash that is stored. */
export const learnImportedHashes = async ({ db, passwords }: PasswordDeps): Promise<void> =>
  passwords.learn((await listImportedHashes(db)).map(({ hash }) => hash))

/** Whether a person must choose a new password before they go on. False for who has none. */
export const passwordExpired = async (db: Db, user: { id: string }, rules: PasswordRules, now: Date): Promise<boolean> => {
  if (rules.maxAge === undefined) return false
  const stored = await findPassword(db, user.id)
  return stored !== undefined && isExpired(stored.changed_at, rules, now)
}

/** Not now is as good as now: a full queue does not keep a person out. */
const rehashPassword = async ({ db, passwords }: PasswordDeps, user_id: string, from: string, plain: string): Promise<void> => {
  try {
    await replacePasswordHash(db, user_id, from, await passwords.hash(plain))
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'unavailable')) throw error
  }
}
