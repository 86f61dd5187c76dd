/**
 * Users of the store `postgres`. Each change is one transaction with its event. Names are unique over usernames and e-mail addresses
 * together: nobody can take a username that is another's address and so stand in the way of their sign-in.
 */
import { isDeepStrictEqual } from 'node:util'
import { changesBetween } from '#/events/changes.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { isUuid, uuidv7 } from '#/lib/uuid.ts'
import { deleteAuthenticatorsOfUser } from '#/model/authenticators.ts'
import { deleteMemberships, insertMemberships, listGroupIdsOfUser, lockMembership } from '#/model/group_members.ts'
import { bumpGroups } from '#/model/groups.ts'
import { trimPasswordHistory } from '#/model/password_history.ts'
import { deletePassword, storePassword } from '#/model/passwords.ts'
import {
  deleteUserRow,
  findLoginOwners,
  findUserRow,
  findUserRowByLogin,
  findUserRowByResource,
  insertUser,
  listUserRows,
  listUserRowsByLabels,
  listUserRowsFrom,
  listUserRowsOfNamespace,
  lockLogins,
  lockUserRow,
  type UserRow,
  type UserToWrite,
  updateUserRow,
} from '#/model/users.ts'
import { type Change, recordChange } from './change.ts'
import { checkVersion, metadataChanges, type Replacement, type Wanted, type Writing, withoutReadOnly } from './entry.ts'
import { parseFields } from './field.ts'
import { mergePatch } from './merge_patch.ts'
import { emailKey, nameKey } from './name_key.ts'
import { notify } from './notices.ts'
import { type Page, type PageRequest, pageLimit, pageOf, parseCursor, renderCursor } from './page.ts'
import { resolveGroups } from './resolve.ts'
import { freePlace, type Place } from './resource_place.ts'
import { parseSearch, rangeOf, searchText } from './search_text.ts'
import { endSessionsOf } from './sessions.ts'
import { parseStoredHash } from './stored_hash.ts'
import { renderUser, type User } from './user.ts'
import { type UserFields, type UserInput, userFields } from './user_fields.ts'
import { type Position, searchUsers } from './user_search.ts'

export type { User } from './user.ts'
export type { UserInput } from './user_fields.ts'

/** Undefined for an id that is none. */
export const findUser = async (db: Db, id: string): Promise<User | undefined> => shown(isUuid(id) ? await findUserRow(db, id) : undefined)

/** By username or e-mail address, as a person types it. Whether it is active is the caller's to look at. */
export const findUserByLogin = async (db: Db, login: string): Promise<User | undefined> => {
  const keys = loginKeys(login)
  return keys && shown(await findUserRowByLogin(db, keys.username_key, keys.email_key))
}

/** Undefined for what can be nobody's name or address. */
export const loginKeys = (login: string): { username_key: string; email_key: string } | undefined =>
  login.length <= 800 && !login.includes('\0') ? { username_key: nameKey(login.trim()), email_key: emailKey(login.trim()) } : undefined

export const findUserByResource = async (db: Db, namespace: string, name: string): Promise<User | undefined> =>
  shown(await findUserRowByResource(db, namespace, name))

const shown = (row: UserRow | undefined): User | undefined => row && renderUser(row)

export interface UserListRequest extends PageRequest {
  /**
   * Any part of username, e-mail address or name, taken literally; with fewer than three letters or digits in a row the beginning of the
   * username. A page may be short, or even empty, and still have a next one.
   */
  q?: string | undefined
}

/** In the order of making. Of those found by `q` first who begins so; those found by a short one in the order of their usernames. */
export const listUsers = async (db: Db, { q = '', cursor, limit }: UserListRequest): Promise<Page<User>> => {
  const size = pageLimit(limit)
  const wanted = q.trim()
  if (wanted === '') return byId(await listUserRows(db, afterId(cursor), size + 1), size)
  const search = parseSearch(wanted)
  if (search.kind === 'nothing') return { items: [], next: null }
  if (search.kind === 'part') {
    const { rows, next } = await searchUsers(db, wanted, search, { after: positionOf(cursor), limit: size })
    return { items: rows.map(renderUser), next: next ? renderCursor([next.place, next.key, next.user_id]) : null }
  }
  const [after = ''] = parseCursor(cursor, ['text']) ?? []
  const rows = await listUserRowsFrom(db, { ...rangeOf(nameKey(wanted)), after }, size + 1)
  return pageOf(rows, size, (row) => [row.username_key], renderUser)
}

export interface ResourceListRequest extends PageRequest {
  namespace?: string | undefined
  /** All of them must be there. */
  labels?: Record<string, string> | undefined
}

/** Users as resources: of one namespace in the order of their resource names, or with some labels in the order of making, or all. */
export const listUserResources = async (db: Db, { namespace, labels = {}, cursor, limit }: ResourceListRequest): Promise<Page<User>> => {
  const size = pageLimit(limit)
  const hasLabels = Object.keys(labels).length > 0
  if (hasLabels) {
    const page = byId(await listUserRowsByLabels(db, labels, afterId(cursor), size + 1), size)
    return { ...page, items: page.items.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace) }
  }
  if (namespace === undefined) return byId(await listUserRows(db, afterId(cursor), size + 1), size)
  const [after = ''] = parseCursor(cursor, ['text']) ?? []
  const rows = await listUserRowsOfNamespace(db, namespace, after, size + 1)
  return pageOf(rows, size, (row) => [row.resource_name], renderUser)
}

const positionOf = (cursor: string | undefined): Position | undefined => {
  const [place = '', key = '', user_id = ''] = parseCursor(cursor, ['text', 'text', 'uuid']) ?? []
  // Whether there is such a place is for the search to say.
  return place === '' ? undefined : { place: place as Position['place'], key, user_id }
}

const afterId = (cursor: string | undefined): string | null => parseCursor(cursor, ['uuid'])?.[0] ?? null

const byId = (rows: UserRow[], size: number): Page<User> => pageOf(rows, size, (row) => [row.user_id], renderUser)

export interface UserCreation extends Change {
  /** Where it stands among the resources; absent: in namespace default, under its username if that can be such a name, else its id. */
  metadata?: Place | undefined
  /** How another system stored the password, as it stands there (`src/identity/schemes/`). It is hashed anew at the first sign-in. */
  passwordHash?: string | undefined
}

/** Throws Problem `invalid` (every bad field), `conflict` when a name or address is taken. */
export const createUser = async (db: Db, input: UserInput | object, creation: UserCreation, now: Date): Promise<User> => {
  const parsed = parseFields(userFields, input)
  const fields: UserFields = { ...parsed, emailVerified: parsed.emailVerified ?? false, groups: parsed.groups ?? [] }
  const hash = creation.passwordHash === undefined ? undefined : importedHash(creation.passwordHash, fields)
  return db.transaction(async (tx) => {
    const user_id = uuidv7(now)
    const group_ids = await resolveGroups(tx, fields.groups, '/groups')
    const isTaken = async (namespace: string, name: string) => (await findUserRowByResource(tx, namespace, name)) !== undefined
    const { labels = {}, annotations = {}, ...place } = creation.metadata ?? (await freePlace(nameKey(fields.username), user_id, isTaken))
    const row = rowOf(user_id, fields, { labels, annotations })
    await claimLogins(tx, row)
    if (group_ids.length) await lockMembership(tx, group_ids)
    if (!(await insertUser(tx, { ...row, namespace: place.namespace, resource_name: place.name }, now)))
      throw new Problem('conflict', {
        detail: `a user ${place.namespace}/${place.name} exists`,
        errors: [{ pointer: '/metadata/name', detail: 'is taken' }],
      })
    if (group_ids.length) {
      await insertMemberships(tx, user_id, group_ids)
      await bumpGroups(tx, group_ids, now)
    }
    if (hash) await storePassword(tx, user_id, hash, now)
    const created = await getUser(tx, user_id)
    const changes = { ...changesBetween({}, fieldsOf(created)), ...(hash ? { '/password': { after: 'imported' } } : {}) }
    await recordChange(tx, creation, { action: 'user.created', target: targetOf(created), changes }, now)
    return created
  })
}

/** JSON merge patch (RFC 7396). Throws Problem `not_found`, `invalid`, `conflict`, `precondition_failed`. */
export const updateUser = (db: Db, id: string, patch: object, writing: Writing, now: Date): Promise<User> =>
  writeUser(db, id, (current) => patched(current, patch as Record<string, unknown>), writing, now)

/** All fields at once: what is not named gets its default. Throws as `updateUser`. */
export const replaceUser = (db: Db, id: string, input: UserInput | object, replacement: Replacement, now: Date): Promise<User> =>
  writeUser(db, id, () => ({ input, errors: [] }), replacement, now)

/** Ends its sessions and removes its password and memberships. Throws Problem `not_found`, `precondition_failed`. */
export const deleteUser = (db: Db, id: string, writing: Writing, now: Date): Promise<void> =>
  db.transaction(async (tx) => {
    if (!isUuid(id)) throw new Problem('not_found')
    const group_ids = (await listGroupIdsOfUser(tx, id)).map(({ group_id }) => group_id)
    if (group_ids.length) await lockMembership(tx, group_ids)
    await lockUserRow(tx, id)
    const user = await getUser(tx, id)
    checkVersion(user, writing)
    await endSessionsOf(tx, id, writing, now)
    await deleteUserRow(tx, id)
    if (group_ids.length) await bumpGroups(tx, group_ids, now)
    await recordChange(tx, writing, { action: 'user.deleted', target: targetOf(user), changes: changesBetween(fieldsOf(user), {}) }, now)
  })

/** Read-only fields may come back as they were sent out. */
const readOnly = ['id', 'resourceVersion', 'createdAt', 'updatedAt'] as const

const patched = (current: User, given: Record<string, unknown>): Wanted => {
  const { patch, errors } = withoutReadOnly(current, given, readOnly)
  const fields: Record<string, unknown> = fieldsOf(current)
  if (patch.groups === null) patch.groups = []
  // A new address is not verified because the old one was.
  if (patch.emailVerified === undefined && patch.email !== undefined) delete fields.emailVerified
  return { input: mergePatch(fields, patch) as object, errors }
}

const attempts = 5

const parseWanted = ({ input, errors }: Wanted) => parseFields(userFields, input, errors)

const writeUser = (db: Db, id: string, makeInput: (current: User) => Wanted, replacement: Replacement, now: Date): Promise<User> =>
  db.transaction(async (tx) => {
    for (let i = 0; i < attempts; i++) {
      const seen = await getUser(tx, id)
      const fields = complete(parseWanted(makeInput(seen)), seen)
      const { gained, lost } = await compareGroups(tx, seen, fields.groups)
      if (gained.length + lost.length) await lockMembership(tx, [...gained, ...lost])
      await lockUserRow(tx, id)
      const current = await getUser(tx, id)
      checkVersion(current, replacement)
      // Someone else was faster between reading and locking: then the patch is another one.
      if (current.resourceVersion !== seen.resourceVersion) continue
      return await storeUser(tx, current, fields, { gained, lost }, replacement, now)
    }
    throw new Problem('unavailable', { detail: 'the user changes too often at the moment', retryAfter: 1 })
  })

const storeUser = async (
  tx: Db,
  current: User,
  fields: UserFields,
  { gained, lost }: { gained: string[]; lost: string[] },
  replacement: Replacement,
  now: Date,
): Promise<User> => {
  const { labels = current.metadata.labels, annotations = current.metadata.annotations } = replacement
  const changes = changesBetween(fieldsOf(current), { ...fields, groups: gained.length + lost.length ? fields.groups : current.groups })
  const specChanged = Object.keys(changes).length > 0
  const metadata = metadataChanges(current, { labels, annotations })
  if (!specChanged && Object.keys(metadata).length === 0) return current
  const row = rowOf(current.id, fields, { labels, annotations })
  if (changes['/username'] || changes['/email']) await claimLogins(tx, row)
  await updateUserRow(tx, row, specChanged, now)
  if (gained.length) await insertMemberships(tx, current.id, gained)
  if (lost.length) await deleteMemberships(tx, current.id, lost)
  if (gained.length + lost.length) await bumpGroups(tx, [...gained, ...lost], now)
  if (fields.serviceAccount && !current.serviceAccount) {
    await deletePassword(tx, current.id)
    await trimPasswordHistory(tx, current.id, 0)
    await deleteAuthenticatorsOfUser(tx, current.id)
  }
  if ((current.active && !fields.active) || (fields.serviceAccount && !current.serviceAccount))
    await endSessionsOf(tx, current.id, replacement, now)
  const updated = await getUser(tx, current.id)
  await recordChange(tx, replacement, { action: 'user.updated', target: targetOf(current), changes: { ...changes, ...metadata } }, now)
  // Told under the new name too: there the person's history goes on.
  if (updated.username !== current.username)
    await recordChange(tx, replacement, { action: 'user.renamed', target: targetOf(updated), data: { before: current.username } }, now)
  if (current.email !== null && emailKey(current.email) !== (fields.email === null ? null : emailKey(fields.email)))
    await notify(tx, { ...current, email_verified: current.emailVerified }, { template: 'email_changed' }, replacement, now)
  return updated
}

const getUser = async (db: Db, id: string): Promise<User> => {
  const user = await findUser(db, id)
  if (!user) throw new Problem('not_found')
  return user
}

const complete = (fields: ReturnType<typeof parseFields<typeof userFields>>, seen: User): UserFields => ({
  ...fields,
  emailVerified: fields.emailVerified ?? (seen.emailVerified && fields.email === seen.email),
  groups: fields.groups ?? seen.groups,
})

const fieldsOf = (user: User): Record<keyof UserFields, unknown> => {
  const { username, email, emailVerified, name, active, locale, serviceAccount, groups, attributes } = user
  return { username, email, emailVerified, name, active, locale, serviceAccount, groups, attributes }
}

const rowOf = (user_id: string, fields: UserFields, { labels, annotations }: Pick<Place, 'labels' | 'annotations'>): UserToWrite => ({
  user_id,
  username: fields.username,
  username_key: nameKey(fields.username),
  email: fields.email,
  email_key: fields.email === null ? null : emailKey(fields.email),
  email_verified: fields.emailVerified && fields.email !== null,
  name: fields.name,
  locale: fields.locale,
  active: fields.active,
  service_account: fields.serviceAccount,
  attributes: fields.attributes,
  labels,
  annotations,
  search_text: searchText(fields.username, fields.email, fields.name),
})

/** From here to the end of the transaction nobody else takes these names; throws Problem `conflict` when someone has. */
const claimLogins = async (db: Db, { user_id, username_key, email_key }: UserToWrite): Promise<void> => {
  const keys = email_key === null ? [username_key] : [username_key, email_key]
  await lockLogins(db, keys)
  const owners = (await findLoginOwners(db, keys)).filter((owner) => owner.user_id !== user_id)
  const taken = (key: string | null) => owners.some((owner) => owner.username_key === key || (key !== null && owner.email_key === key))
  const errors = [
    ...(taken(username_key) ? [{ pointer: '/username', detail: 'is taken' }] : []),
    ...(email_key !== null && taken(email_key) ? [{ pointer: '/email', detail: 'is taken' }] : []),
  ]
  if (errors.length) throw new Problem('conflict', { detail: 'a user of that name or e-mail address exists', errors })
}

const compareGroups = async (db: Db, user: User, names: string[]): Promise<{ gained: string[]; lost: string[] }> => {
  if (isDeepStrictEqual(names, user.groups)) return { gained: [], lost: [] }
  const wanted = new Set(await resolveGroups(db, names, '/groups'))
  const has = new Set((await listGroupIdsOfUser(db, user.id)).map(({ group_id }) => group_id))
  return { gained: [...wanted].filter((id) => !has.has(id)), lost: [...has].filter((id) => !wanted.has(id)) }
}

const importedHash = (hash: string, { serviceAccount }: UserFields): string => {
  if (serviceAccount) throw new Problem('invalid', { errors: [{ pointer: '/passwordHash', detail: 'a service account has no password' }] })
  parseStoredHash(hash)
  return hash
}

const targetOf = ({ username }: User) => ({ kind: 'User', name: username })
