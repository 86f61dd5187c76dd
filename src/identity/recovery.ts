/**
 * A link by which a person gets back into their account. What was typed goes to the worker as it is, sealed, and only there is it looked up: so
 * the page answers alike, and as fast, for a name that someone has and for one that nobody has.
 */
import { z } from 'zod'
import { openVault, randomToken, sha256 } from '#/lib/crypto.ts'
import { addTask } from '#/lib/queue.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { countMailedLinks, storeMailedLink } from '#/model/mailed_links.ts'
import { lockUserRow } from '#/model/users.ts'
import { type MailDeps, queueMail } from './mail.ts'
import { findUserByLogin } from './users.ts'

const wanted = z.object({
  login: z.string().max(800),
  flow: z.string().max(253),
  issuer: z.url(),
  product: z.string().optional(),
  locale: z.string().nullable(),
  ttlMs: z.number().int().positive(),
})

export type RecoveryWanted = z.output<typeof wanted>

/** Mails that wait for their reader: nobody fills the box of another. */
const mostWaiting = 3

const context = 'send_recovery'
const vaultOf = (rootSecret: Secret) => openVault(rootSecret, 'recovery')

export const queueRecovery = async (
  { db, rootSecret }: { db: Db; rootSecret: Secret },
  recovery: RecoveryWanted,
  now: Date,
): Promise<void> => {
  const sealed = vaultOf(rootSecret).seal(JSON.stringify(recovery), context).toString('base64')
  await addTask(db, 'send_recovery', { sealed, queued_at: now })
}

/** Queues the mail for whoever it is, if anyone. Answers whether there was someone. */
export const sendRecovery = async (deps: MailDeps & { db: Db }, payload: unknown, now: Date): Promise<boolean> => {
  const { sealed } = z.object({ sealed: z.string() }).parse(payload)
  const opened = vaultOf(deps.rootSecret).open(Buffer.from(sealed, 'base64'), context).toString()
  const { login, flow, issuer, product, locale, ttlMs } = wanted.parse(JSON.parse(opened))
  const user = await findUserByLogin(deps.db, login)
  const { email } = user ?? {}
  if (!user?.active || user.serviceAccount || !email || !user.emailVerified) return false
  return deps.db.transaction(async (tx) => {
    // Of many workers at once, too, no more than that.
    await lockUserRow(tx, user.id)
    if ((await countMailedLinks(tx, { user_id: user.id, flow_name: flow }, now)).count >= mostWaiting) return false
    const token = randomToken()
    const expiresAt = new Date(now.getTime() + ttlMs)
    await storeMailedLink(tx, { token_hash: sha256(token), user_id: user.id, issuer, flow_name: flow, email, expires_at: expiresAt })
    const url = `${issuer}/flow/${flow}?token=${token}`
    await queueMail(
      tx,
      { to: email, template: 'recovery', locale: user.locale ?? locale, user, product, variables: { url, expiresAt } },
      { ...deps, now },
    )
    return true
  })
}
