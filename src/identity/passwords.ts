/** Passwords of users: set, checked, imported. Hashing happens outside of transactions, so that none is held open for it. */
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { findPassword, listImportedHashes, replacePasswordHash, storePassword } from '#/model/passwords.ts'
import { lockUserRow } from '#/model/users.ts'
import { type Change, recordChange } from './change.ts'
import { longestPassword, type PasswordHasher } from './password_hasher.ts'
import { endSessionsOf } from './sessions.ts'
import { parseStoredHash } from './stored_hash.ts'
import type { User } from './user.ts'
import { findUser, findUserByLogin } from './users.ts'

export { openPasswordHasher, type PasswordHasher } from './password_hasher.ts'

export interface PasswordDeps {
  db: Db
  passwords: PasswordHasher
}

const shortestPassword = 8

/** Throws Problem `invalid` for what can not become a password. */
export const checkNewPassword = (plain: unknown, pointer = '/password'): string => {
  const detail =
    typeof plain !== 'string'
      ? 'wants a text'
      : [...plain].length < shortestPassword
        ? `wants at least ${shortestPassword} characters`
        : Buffer.byteLength(plain) > longestPassword
          ? `has more than ${longestPassword} bytes`
          : plain.includes('\0')
            ? 'has a character NUL'
            : undefined
  if (detail || typeof plain !== 'string') throw new Problem('invalid', { errors: [{ pointer, detail: detail ?? '' }] })
  return plain
}

export interface PasswordChange extends Change {
  /** The session in which a person changes their own; all others end. */
  keepSession?: string | undefined
}

/** Sets a password and ends the user's sessions. Throws Problem `not_found`, `invalid` (also for service accounts), `unavailable`. */
export const setPassword = async (
  { db, passwords }: PasswordDeps,
  user_id: string,
  plain: string,
  change: PasswordChange,
  now: Date,
): Promise<void> => {
  checkNewPassword(plain)
  await findPerson(db, user_id)
  const hash = await passwords.hash(plain)
  await writePassword(db, user_id, hash, change, now)
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

const writePassword = (db: Db, user_id: string, hash: string, change: PasswordChange, now: Date): Promise<void> =>
  db.transaction(async (tx) => {
    await lockUserRow(tx, user_id)
    const { username } = await findPerson(tx, user_id)
    await storePassword(tx, user_id, hash, now)
    await recordChange(tx, change, { action: 'user.password_changed', target: { kind: 'User', name: username } }, now)
    await endSessionsOf(tx, user_id, change, now, change.keepSession)
  })

/**
 * The user whose password this is. Undefined for a wrong password, an unknown name, an inactive user, a service account and a user without
 * password alike, and each after the same time. A hash that is not ours of today is replaced. Throws Problem `unavailable` when too many sign in.
 */
export const checkPassword = async ({ db, passwords }: PasswordDeps, login: string, plain: string): Promise<User | undefined> => {
  const user = await findUserByLogin(db, login)
  const stored = user?.active && !user.serviceAccount ? await findPassword(db, user.id) : undefined
  if (!user || !stored) {
    await passwords.verifyNobody(plain)
    return undefined
  }
  const { ok, rehash } = await passwords.verify(stored.hash, plain)
  if (!ok) return undefined
  if (rehash) await rehashPassword({ db, passwords }, user.id, stored.hash, plain)
  return user
}

/** To be called at the start: a failed sign-in takes as long as one with the dearest hash that is stored. */
export const learnImportedHashes = async ({ db, passwords }: PasswordDeps): Promise<void> =>
  passwords.learn((await listImportedHashes(db)).map(({ hash }) => hash))

/** Not now is as good as now: a full queue does not keep a person out. */
const rehashPassword = async ({ db, passwords }: PasswordDeps, user_id: string, from: string, plain: string): Promise<void> => {
  try {
    await replacePasswordHash(db, user_id, from, await passwords.hash(plain))
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'unavailable')) throw error
  }
}
