/** Wrong answers counted, for `policy/lock_out` to judge. They stand in PostgreSQL, so that a restart or another replica forgets none. */
import { emailKey, nameKey } from '#/identity/name_key.ts'
import { checkPassword, findLogin, type PasswordDeps, type PasswordHolder } from '#/identity/passwords.ts'
import { sha256 } from '#/lib/crypto.ts'
import { keyOfNetwork } from '#/lib/network_key.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { addFailedSignIn, type FailedSignIns, findFailedSignIns } from '#/model/failed_sign_ins.ts'
import { type Count, lockOut, lockOutSince, secondsLockedOut } from '#/policy/lock_out.ts'

/** One thing that failures are counted for. */
export interface Counter {
  key: Buffer
  limit: number
}

export const passwordCounters = ({ username, network }: { username: string; network: string }): Counter[] => [
  // As the directory compares names.
  { key: sha256(`name:${nameKey(username.trim())}`), limit: lockOut.perName },
  ...networkCounters(network),
]

/** Of a passkey that nobody's name came with. */
export const networkCounters = (network: string): Counter[] => [
  { key: sha256(`network:${keyOfNetwork(network)}`), limit: lockOut.perNetwork },
]

/** Codes of second factors; `account` is whose they would be. */
export const codeCounters = ({ account, network }: { account: string; network: string }): Counter[] => [
  { key: sha256(`code:${account}`), limit: lockOut.codesPerAccount },
  { key: sha256(`code_network:${keyOfNetwork(network)}`), limit: lockOut.codesPerNetwork },
]

export const userCodeCounters = (network: string): Counter[] => [
  { key: sha256(`user_code:${keyOfNetwork(network)}`), limit: lockOut.userCodesPerNetwork },
]

export const registrationCounters = (network: string): Counter[] => [
  { key: sha256(`registration:${keyOfNetwork(network)}`), limit: lockOut.registrationsPerNetwork },
]

/** Mails that someone has us send before they are known. Without an address: to whom is not looked up here. */
const mailCounters = ({ address, network }: { address?: string | undefined; network: string }): Counter[] => [
  ...(address === undefined ? [] : [{ key: sha256(`mail:${emailKey(address)}`), limit: lockOut.mailsPerAddress }]),
  { key: sha256(`mail_network:${keyOfNetwork(network)}`), limit: lockOut.mailsPerNetwork },
]

/** Seconds until another answer is taken; undefined when one is now. */
export const findLockOut = async (db: Db, counters: readonly Counter[], now: Date): Promise<number | undefined> =>
  lockOutOf(counters, await findFailedSignIns(db, keysOf(counters)), now)

const keysOf = (counters: readonly Counter[]): Buffer[] => counters.map(({ key }) => key)

const lockOutOf = (counters: readonly Counter[], found: readonly FailedSignIns[], now: Date): number | undefined =>
  secondsLockedOut(
    counters.map(({ key, limit }) => ({ limit, failedAt: found.find((row) => row.key.equals(key))?.failed_at ?? [] })),
    now,
  )

export interface TypedPassword {
  /** Username or address, as it was typed. */
  login: string
  plain: string
  network: string
  /** Whoever is known already proves it for themselves. */
  user_id: string | undefined
}

export type JudgedPassword = { kind: 'right'; holder: PasswordHolder } | { kind: 'wrong' } | { kind: 'locked_out'; retryAfter: number }

/** More is refused before it is hashed. */
const longestPassword = 1_024

/**
 * Failures are looked at before the hash, to spare it, and again after it: of a thousand posts sent at once only those that come before the tenth
 * failure can succeed. Throws Problem `unavailable` when too many sign in.
 */
export const judgePassword = async (
  deps: PasswordDeps,
  { login, plain, network, user_id }: TypedPassword,
  now: Date,
): Promise<JudgedPassword> => {
  const counted = passwordCounters({ username: login, network })
  const found = await findLogin(deps.db, login, keysOf(counted))
  const before = lockOutOf(counted, found.failures, now)
  if (before !== undefined) return { kind: 'locked_out', retryAfter: before }
  const holder = plain.length > longestPassword ? undefined : await checkPassword(deps, found, plain)
  if (!holder || (user_id !== undefined && user_id !== holder.id)) {
    await addFailure(deps.db, counted, now)
    return { kind: 'wrong' }
  }
  const after = await findLockOut(deps.db, counted, now)
  return after === undefined ? { kind: 'right', holder } : { kind: 'locked_out', retryAfter: after }
}

export const addFailure = async (db: Db, counters: readonly Counter[], now: Date): Promise<void> => {
  const since = lockOutSince(now)
  await Promise.all(counters.map(({ key, limit }) => addFailedSignIn(db, { key, keep: limit, since }, now)))
}

/** Counts one more and throws Problem `too_many_requests` when it is one too many: of many at once, too, only so many are let through. */
export const countMail = async (db: Db, mail: { address?: string | undefined; network: string }, now: Date): Promise<void> => {
  const since = lockOutSince(now)
  const counts: Count[] = []
  for (const { key, limit } of mailCounters(mail)) {
    const { failed_at } = await addFailedSignIn(db, { key, keep: limit + 1, since }, now)
    counts.push({ failedAt: failed_at, limit: limit + 1 })
  }
  const retryAfter = secondsLockedOut(counts, now)
  if (retryAfter !== undefined) throw new Problem('too_many_requests', { detail: 'too many mails were asked for', retryAfter })
}
