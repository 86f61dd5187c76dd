/** The second factors and passkeys that people have: counted, listed, added, removed. What each of them is stands in `factors/`. */
import { z } from 'zod'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { isUuid } from '#/lib/uuid.ts'
import {
  type AuthenticatorToInsert,
  countAuthenticators,
  deleteAuthenticator,
  deleteOlderAuthenticators,
  type FactorType,
  insertAuthenticator,
  listAuthenticators,
  listFactorTypes,
} from '#/model/authenticators.ts'
import { lockUserRow } from '#/model/users.ts'
import { type Change, recordChange } from './change.ts'
import { nameField, parseFields } from './field.ts'
import { notifyUser } from './notices.ts'
import { forgetDevicesOf } from './remembered_devices.ts'
import { findUser } from './users.ts'

export type { FactorType } from '#/model/authenticators.ts'

const mostAuthenticators = 25

/** As a person sees it in a list. */
export interface Authenticator {
  id: string
  type: FactorType
  name: string | null
  createdAt: Date
  lastUsedAt: Date | null
}

export interface Factors {
  /** Each once. A set of recovery codes counts when it is used up, too: nobody slips back to one factor by using their codes. */
  types: FactorType[]
  recoveryCodesLeft: number
}

/** Which second factors a person has. */
export const findFactors = async (db: Db, user_id: string): Promise<Factors> => {
  const rows = await listFactorTypes(db, user_id)
  return { types: rows.map(({ type }) => type), recoveryCodesLeft: rows.reduce((sum, { codes_left }) => sum + codes_left, 0) }
}

export const listFactors = async (db: Db, user_id: string): Promise<Authenticator[]> =>
  (await listAuthenticators(db, user_id)).map(({ authenticator_id, type, name, created_at, last_used_at }) => ({
    id: authenticator_id,
    type,
    name,
    createdAt: created_at,
    lastUsedAt: last_used_at,
  }))

const longestName = 100
const factorName = nameField.refine((name) => [...name].length <= longestName, `has more than ${longestName} characters`)
const fields = z.strictObject({ name: factorName.nullable() })

/** Whether a factor may be called so. */
export const isFactorName = (name: string): boolean => factorName.safeParse(name).success

/** Of these a person has one. A newer one takes its place, and what is sent again does not: used codes stay used. */
const single: readonly FactorType[] = ['static', 'email']

type Addition = Omit<AuthenticatorToInsert, 'name'> & { name?: string | undefined }

/** Throws Problem `invalid` (the name), `not_found`, `conflict` (too many, that credential is there, a program has none). */
export const addFactor = async (db: Db, addition: Addition, change: Change, now: Date): Promise<Authenticator> => {
  const { name } = parseFields(fields, { name: addition.name?.trim() || null })
  const { authenticator_id, user_id, type } = addition
  return db.transaction(async (tx) => {
    await lockUserRow(tx, user_id)
    const user = await findUser(tx, user_id)
    if (!user) throw new Problem('not_found')
    if (user.serviceAccount) throw new Problem('conflict', { detail: 'a service account has no second factors' })
    await forgetDevicesOf(tx, user_id)
    const replaced = single.includes(type) ? await deleteOlderAuthenticators(tx, addition) : 0
    if ((await countAuthenticators(tx, user_id)) >= mostAuthenticators)
      throw new Problem('conflict', { detail: `a person has at most ${mostAuthenticators} factors` })
    if (!(await insertAuthenticator(tx, { ...addition, name }, now)))
      throw new Problem('conflict', { detail: 'this is registered already' })
    const data = { type, name, ...(replaced ? { replaced: true } : {}) }
    await recordChange(tx, change, { action: 'factor.added', target: { kind: 'User', name: user.username }, data }, now)
    await notifyUser(tx, user_id, { template: 'factor_changed', factor: type, change: 'added' }, change, now)
    return { id: authenticator_id, type, name, createdAt: now, lastUsedAt: null }
  })
}

/** With its event; false when this person has none of that id. */
export const removeFactor = (
  db: Db,
  { user_id, username, id }: { user_id: string; username: string; id: string },
  change: Change,
  now: Date,
): Promise<boolean> =>
  db.transaction(async (tx) => {
    const removed = isUuid(id) ? await deleteAuthenticator(tx, { user_id, authenticator_id: id }) : undefined
    if (!removed) return false
    await forgetDevicesOf(tx, user_id)
    await recordChange(tx, change, { action: 'factor.removed', target: { kind: 'User', name: username }, data: { ...removed } }, now)
    await notifyUser(tx, user_id, { template: 'factor_changed', factor: removed.type, change: 'removed' }, change, now)
    return true
  })
