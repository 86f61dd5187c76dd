/**
 * A person's change of their e-mail address. A code goes to the new mailbox, and one to the old when it was ever confirmed; both are typed at the
 * portal, in a session of the person, and the last of them changes the address. Codes and not links: a mailbox is often read on another device,
 * where nobody is signed in, and a code alone is worth nothing there. Whether an address is someone else's is not looked up before its mailbox
 * is proven, so nothing about the asking tells.
 */
import { createHmac, randomInt } from 'node:crypto'
import { deriveKey } from '#/lib/crypto.ts'
import { Problem } from '#/lib/problem.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { deleteEmailChange, type EmailChange, findEmailChange, storeEmailChange, tryEmailChange } from '#/model/email_changes.ts'
import { lockUserRow } from '#/model/users.ts'
import { type Change, recordChange } from './change.ts'
import { type MailDeps, queueMail } from './mail.ts'
import { findUser, type User, updateUser } from './users.ts'

/** Long enough for two mailboxes that are read elsewhere. */
const lifetimeMs = 60 * 60_000
const tries = 5

export interface PendingEmailChange {
  email: string
  /** The address that agrees too. */
  old?: string
  isNewConfirmed: boolean
  isOldConfirmed: boolean
  expiresAt: Date
}

export const findPendingEmailChange = async (db: Db, user_id: string, now: Date): Promise<PendingEmailChange | undefined> => {
  const found = await findEmailChange(db, user_id, now)
  return (
    found && {
      email: found.new_email,
      ...(found.old_code_hash && found.old_email ? { old: found.old_email } : {}),
      isNewConfirmed: found.new_confirmed_at !== null,
      isOldConfirmed: found.old_confirmed_at !== null,
      expiresAt: found.expires_at,
    }
  )
}

export interface EmailChangeDeps extends MailDeps {
  db: Db
}

/** Of an address that was checked; the one that waits ends. The caller bounds the mails. */
export const askEmailChange = (
  deps: EmailChangeDeps,
  { user_id, email, ...mailed }: { user_id: string; email: string; product: string | undefined; locale: string | null; url: string },
  change: Change,
  now: Date,
): Promise<void> =>
  deps.db.transaction(async (tx) => {
    await lockUserRow(tx, user_id)
    const user = await getUser(tx, user_id)
    const email_change_id = uuidv7(now)
    const [code, oldCode] = twoCodes()
    const hash = (text: string) => hashOf(deps.rootSecret, email_change_id, text)
    const expiresAt = new Date(now.getTime() + lifetimeMs)
    const mustAgree = user.email !== null && user.emailVerified
    await storeEmailChange(
      tx,
      {
        user_id,
        email_change_id,
        new_email: email,
        old_email: user.email,
        new_code_hash: hash(code),
        old_code_hash: mustAgree ? hash(oldCode) : null,
        attempts_left: tries,
        expires_at: expiresAt,
      },
      now,
    )
    const { product, locale, url } = mailed
    const by = { ...deps, now }
    // Whose mailbox it is nobody knows yet: it learns nothing of the person.
    const stranger = { name: null, username: null, email }
    await queueMail(tx, { to: email, template: 'email_confirmation', locale, user: stranger, product, variables: { code, expiresAt } }, by)
    if (user.email !== null && mustAgree)
      await queueMail(
        tx,
        { to: user.email, template: 'email_change', locale, user, product, variables: { code: oldCode, address: email, url, expiresAt } },
        by,
      )
    await recordChange(tx, change, { action: 'email_change.asked', target: targetOf(user), data: { email } }, now)
  })

export type EmailChangeStep =
  /** One mailbox has agreed, the other has not. */
  | { kind: 'agreed' }
  | { kind: 'changed' }
  /** The code is wrong, or was used before. `isLast`: none is taken any more. */
  | { kind: 'wrong'; isLast: boolean }
  /** None waits any more. */
  | { kind: 'over' }
  /** The address belongs to somebody else, which its owner may know. */
  | { kind: 'taken' }

/** A code of either mailbox. */
export const confirmEmailChange = (
  deps: EmailChangeDeps,
  { user_id, code }: { user_id: string; code: string },
  change: Change,
  now: Date,
): Promise<EmailChangeStep> =>
  deps.db.transaction(async (tx) => {
    await lockUserRow(tx, user_id)
    const found = await findEmailChange(tx, user_id, now)
    if (!found) return { kind: 'over' }
    const { email_change_id } = found
    const tried = await tryEmailChange(tx, { user_id, email_change_id, code_hash: hashOf(deps.rootSecret, email_change_id, code) }, now)
    const user = await getUser(tx, user_id)
    if (!tried?.is_right) {
      await recordChange(tx, change, { action: 'email_change.failed', target: targetOf(user) }, now)
      return { kind: 'wrong', isLast: !tried?.attempts_left }
    }
    if (!isAgreed(tried)) return { kind: 'agreed' }
    await deleteEmailChange(tx, user_id)
    try {
      // Claims the name before it writes, so a refusal leaves the transaction whole.
      await updateUser(tx, user_id, { email: tried.new_email, emailVerified: true }, change, now)
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'conflict') throw error
      return { kind: 'taken' }
    }
    return { kind: 'changed' }
  })

/** False when none waited. */
export const withdrawEmailChange = (db: Db, user_id: string, change: Change, now: Date): Promise<boolean> =>
  db.transaction(async (tx) => {
    const withdrawn = await deleteEmailChange(tx, user_id)
    if (!withdrawn) return false
    const user = await getUser(tx, user_id)
    await recordChange(tx, change, { action: 'email_change.withdrawn', target: targetOf(user), data: { email: withdrawn.new_email } }, now)
    return true
  })

const isAgreed = ({ new_confirmed_at, old_code_hash, old_confirmed_at }: EmailChange): boolean =>
  new_confirmed_at !== null && (old_code_hash === null || old_confirmed_at !== null)

const getUser = async (db: Db, user_id: string): Promise<User> => {
  const user = await findUser(db, user_id)
  if (!user) throw new Problem('not_found')
  return user
}

const targetOf = ({ username }: User) => ({ kind: 'User', name: username })

const newCode = (): string => String(randomInt(1_000_000)).padStart(6, '0')

/** One field takes both, so they differ. */
const twoCodes = (): [string, string] => {
  const [one, other] = [newCode(), newCode()]
  return one === other ? twoCodes() : [one, other]
}

/** Compared by the database: without the key nobody can choose codes by how far a comparison gets. */
const hashOf = (root: Secret, email_change_id: string, code: string): Buffer =>
  createHmac('sha256', deriveKey(root, 'e-mail changes'))
    .update(`${email_change_id}:${code.slice(0, 20).replace(/[\s-]/g, '')}`)
    .digest()
