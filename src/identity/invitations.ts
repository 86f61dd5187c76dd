/**
 * Invitations to enroll. Whoever follows one is given what its maker fixed, groups above all, so it is worth as much as its maker is worth when
 * it is used: not when they are gone or inactive, and not when its groups give more by then than they may do themselves. Otherwise someone
 * could invite themselves, leave, and come back with what they had.
 */
import { randomToken, sha256 } from '#/lib/crypto.ts'
import { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { listNamesAbove } from '#/model/group_parents.ts'
import {
  consumeInvitationRow,
  deleteInvitationRow,
  findInvitation,
  type Invitation,
  type InvitationToInsert,
  insertInvitation,
  peekInvitation,
} from '#/model/invitations.ts'
import { findExcess, type RoleSpec, rulesOf } from '#/policy/access.ts'
import { type Change, recordChange } from './change.ts'
import { deepestNesting } from './group_fields.ts'
import { rulesOfUser } from './rules.ts'

export type { Invitation } from '#/model/invitations.ts'

export const defaultInvitationFlow = 'enrollment'

export type InvitationToCreate = Omit<InvitationToInsert, 'invitation_id' | 'token_hash' | 'created_at' | 'created_by'>

/** The token is shown here and never again. Belongs into a transaction with the mail that carries it. */
export const createInvitation = async (
  db: Db,
  invitation: InvitationToCreate,
  change: Change,
  now: Date,
): Promise<{ invitation_id: string; url: Secret }> => {
  const token = randomToken()
  const invitation_id = uuidv7(now)
  await insertInvitation(db, { ...invitation, invitation_id, token_hash: sha256(token), created_by: change.actor, created_at: now })
  const { email, name, locale, group_ids, flow_name, expires_at } = invitation
  await recordChange(
    db,
    change,
    {
      action: 'invitation.created',
      target: { kind: 'Invitation', name: invitation_id },
      data: { email, name, locale, group_ids, flow: flow_name, expiresAt: expires_at },
    },
    now,
  )
  return { invitation_id, url: new Secret(`${invitation.issuer}/flow/${encodeURIComponent(invitation.flow_name)}?invitation=${token}`) }
}

export interface Invited {
  token: string
  issuer: string
  flow_name: string
  /** Of all Roles there are. */
  roles: readonly RoleSpec[]
}

const longestToken = 200

/** What an invitation fixes, for the pages before the last: it stays good. Undefined when it is worth nothing here and now. */
export const findInvited = async (db: Db, { token, roles, ...where }: Invited, now: Date): Promise<Invitation | undefined> => {
  if (token.length > longestToken) return undefined
  const found = await peekInvitation(db, { ...where, token_hash: sha256(token) }, now)
  return found && (await isCovered(db, found, roles)) ? found : undefined
}

/**
 * Uses an invitation up. To be called in the transaction that creates the user: of many at once one wins, and when that transaction fails the
 * invitation is good again. Undefined when it is worth nothing here and now: nothing may be created then.
 */
export const consumeInvitation = async (
  db: Db,
  { token, roles, ...where }: Invited,
  { username, ...change }: Change & { username: string },
  now: Date,
): Promise<Invitation | undefined> => {
  if (token.length > longestToken) return undefined
  const consumed = await consumeInvitationRow(db, { ...where, token_hash: sha256(token) }, now)
  if (!consumed || !(await isCovered(db, consumed, roles))) return undefined
  const { invitation_id, created_by } = consumed
  await recordChange(
    db,
    change,
    { action: 'invitation.consumed', target: { kind: 'Invitation', name: invitation_id }, data: { username, createdBy: created_by } },
    now,
  )
  return consumed
}

/** Whether its maker may do, today, all that its groups would give. Without a maker it is the program's own. */
const isCovered = async (db: Db, invitation: Invitation, roles: readonly RoleSpec[]): Promise<boolean> => {
  const { created_by_user_id: user_id, creator_username: username, group_ids } = invitation
  if (user_id === null || username === null || group_ids.length === 0) return true
  const names = new Set<string>()
  for (const group_id of group_ids) for (const { name } of await listNamesAbove(db, group_id, deepestNesting)) names.add(name)
  const given = rulesOf(roles, { username: '', groups: [...names] })
  return findExcess([await rulesOfUser(db, roles, { user_id, username })], given) === undefined
}

/** False when there was none. */
export const deleteInvitation = (db: Db, invitation_id: string, change: Change, now: Date): Promise<boolean> =>
  db.transaction(async (tx) => {
    const found = await findInvitation(tx, invitation_id)
    if (!found || !(await deleteInvitationRow(tx, invitation_id))) return false
    const { email, created_by } = found
    await recordChange(
      tx,
      change,
      { action: 'invitation.deleted', target: { kind: 'Invitation', name: invitation_id }, data: { email, createdBy: created_by } },
      now,
    )
    return true
  })
