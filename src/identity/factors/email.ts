/**
 * Codes sent to a person's address, which the one that sets the factor up confirms: six digits for ten minutes, five tries, good once and only for what asked for it. Compared by
 * the database as HMAC: without the key nobody can choose codes by how far a comparison gets, so its time tells nothing.
 */
import { createHmac, randomInt } from 'node:crypto'
import { deriveKey } from '#/lib/crypto.ts'
import { Problem } from '#/lib/problem.ts'
import type { Secret } from '#/lib/secret.ts'
import { isUuid, uuidv7 } from '#/lib/uuid.ts'
import { useSingleAuthenticator } from '#/model/authenticators.ts'
import { countLiveEmailCodes, insertEmailCode, tryEmailCode } from '#/model/email_codes.ts'
import { lockUserRow } from '#/model/users.ts'
import { addFactor } from '../authenticators.ts'
import { type Begun, type Factor, type FactorDeps, nobody, refused } from '../factor.ts'
import type { User } from '../user.ts'
import { updateUser } from '../users.ts'

const lifetimeMs = 10 * 60_000
const tries = 5
/** Mails that wait for an answer: whoever knows a password can not fill the box of its owner. */
const mostWaiting = 5

export const email: Factor = {
  offer: async (deps, user, now) => {
    if (!user.email) throw new Problem('conflict', { detail: 'there is no e-mail address' })
    return issueCode(deps, user, user.email, now)
  },

  confirm: (deps, user, { kept, code, name }, change, now) =>
    deps.db.transaction(async (tx) => {
      await lockUserRow(tx, user.id)
      if (!(await isRight({ ...deps, db: tx }, user.id, { kept, code, isSetUp: true }, now)))
        return refused('the mailed code is wrong, used or expired')
      // The mailbox has just proven to be theirs: the code holds for the address that they have now and for no other.
      await updateUser(tx, user.id, { emailVerified: true }, change, now)
      const row = { authenticator_id: uuidv7(now), user_id: user.id, type: 'email', name } as const
      return { kind: 'added', authenticator: await addFactor(tx, row, change, now) }
    }),

  ask: async (deps, user, now) => (user?.email && user.emailVerified ? issueCode(deps, user, user.email, now) : { kept: uuidv7(now) }),

  verify: async (deps, user, answer, now) => {
    const user_id = user?.id ?? nobody
    return deps.db.transaction(async (tx) => {
      if (!(await isRight({ ...deps, db: tx }, user_id, answer, now))) return refused('the mailed code is wrong, used or expired')
      const used = await useSingleAuthenticator(tx, { user_id, type: 'email' }, now)
      if (!used) return refused('the factor was removed meanwhile')
      return { kind: 'proven', type: 'email', user_id, authenticator_id: used.authenticator_id, amr: ['otp'], userVerified: false }
    })
  },
}

/** Throws Problem `too_many_requests`. */
const issueCode = ({ db, rootSecret }: FactorDeps, user: User, address: string, now: Date): Promise<Begun> =>
  db.transaction(async (tx) => {
    await lockUserRow(tx, user.id)
    const { count, first_expires_at } = await countLiveEmailCodes(tx, user.id, now)
    if (count >= mostWaiting && first_expires_at)
      throw new Problem('too_many_requests', { retryAfter: Math.max(1, Math.ceil((first_expires_at.getTime() - now.getTime()) / 1_000)) })
    const email_code_id = uuidv7(now)
    const code = String(randomInt(1_000_000)).padStart(6, '0')
    const expiresAt = new Date(now.getTime() + lifetimeMs)
    const code_hash = hashOf(rootSecret, email_code_id, code)
    await insertEmailCode(tx, { email_code_id, user_id: user.id, address, code_hash, expires_at: expiresAt, attempts_left: tries })
    return { kept: email_code_id, mail: { address, code, expiresAt } }
  })

const isRight = async (
  { db, rootSecret }: FactorDeps,
  user_id: string,
  { kept, code = '', isSetUp = false }: { kept: string; code?: string | undefined; isSetUp?: boolean },
  now: Date,
): Promise<boolean> => {
  if (!isUuid(kept)) return false
  return tryEmailCode(db, { email_code_id: kept, user_id, code_hash: hashOf(rootSecret, kept, code), mustBeConfirmed: !isSetUp }, now)
}

const hashOf = (root: Secret, email_code_id: string, code: string): Buffer =>
  createHmac('sha256', deriveKey(root, 'e-mail codes'))
    .update(`${email_code_id}:${code.slice(0, 20).replace(/[\s-]/g, '')}`)
    .digest()
