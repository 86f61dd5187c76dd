/** Groups of the store `postgres`. Each change is one transaction with its event. */
import { isDeepStrictEqual } from 'node:util'
import { changesBetween } from '#/events/changes.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { isUuid, uuidv7 } from '#/lib/uuid.ts'
import { deleteMembers, deleteMembersAfter, insertMembers, listMemberIds, lockMembership } from '#/model/group_members.ts'
import {
  bumpGroups,
  deleteGroupRow,
  findGroupRow,
  findGroupRowByResource,
  findGroupsByKeys,
  type GroupRow,
  type GroupToWrite,
  insertGroup,
  listGroupRows,
  listGroupRowsByLabels,
  listGroupRowsFrom,
  listGroupRowsOfNamespace,
  lockGroupName,
  lockGroupRow,
  searchGroupRows,
  updateGroupRow,
} from '#/model/groups.ts'
import { bumpUsers } from '#/model/users.ts'
import { type Change, recordChange } from './change.ts'
import { checkVersion, metadataChanges, type Replacement, type Wanted, type Writing, withoutReadOnly } from './entry.ts'
import { parseFields } from './field.ts'
import { type Group, renderGroup, shownMembers, shownMembersInList } from './group.ts'
import { type GroupFields, type GroupInput, groupFields } from './group_fields.ts'
import { mergePatch } from './merge_patch.ts'
import { nameKey } from './name_key.ts'
import { nestGroup } from './nesting.ts'
import { type Page, type PageRequest, pageLimit, pageOf, parseCursor } from './page.ts'
import { resolveAll, resolveGroups, resolveUsers } from './resolve.ts'
import { freePlace, type Place } from './resource_place.ts'
import { parseSearch, rangeOf, searchText } from './search_text.ts'

export type { Group } from './group.ts'
export type { GroupInput } from './group_fields.ts'
export { effectiveGroups, groupsAbove } from './nesting.ts'

/** With its first members, `most` of them. Undefined for an id that is none. */
export const findGroup = async (db: Db, id: string, most = shownMembers): Promise<Group | undefined> => {
  const row = isUuid(id) ? await findGroupRow(db, id, most + 1) : undefined
  return row && renderGroup(row, most)
}

export const findGroupByResource = async (db: Db, namespace: string, name: string): Promise<Group | undefined> =>
  shown(await findGroupRowByResource(db, namespace, name, shownMembers + 1))

const shown = (row: GroupRow | undefined): Group | undefined => row && renderGroup(row)

export interface GroupListRequest extends PageRequest {
  /** Any part of the name, taken literally; with fewer than three letters or digits in a row its beginning. */
  q?: string | undefined
}

const members = shownMembersInList + 1

/** In the order of making; those found by a short `q` in the order of their names. Of each the first 100 members. */
export const listGroups = async (db: Db, { q = '', cursor, limit }: GroupListRequest): Promise<Page<Group>> => {
  const size = pageLimit(limit)
  const wanted = q.trim()
  if (wanted === '') return byId(await listGroupRows(db, { after: afterId(cursor), limit: size + 1, members }), size)
  const search = parseSearch(wanted)
  if (search.kind === 'nothing') return { items: [], next: null }
  if (search.kind === 'part')
    return byId(await searchGroupRows(db, { pattern: search.pattern, after: afterId(cursor), limit: size + 1, members }), size)
  const [after = ''] = parseCursor(cursor, ['text']) ?? []
  const rows = await listGroupRowsFrom(db, { ...rangeOf(nameKey(wanted)), after, limit: size + 1, members })
  return pageOf(rows, size, (row) => [row.name_key], renderInList)
}

export interface ResourceListRequest extends PageRequest {
  namespace?: string | undefined
  /** All of them must be there. */
  labels?: Record<string, string> | undefined
}

/** Groups as resources: of one namespace in the order of their resource names, or with some labels in the order of making, or all. */
export const listGroupResources = async (db: Db, { namespace, labels = {}, cursor, limit }: ResourceListRequest): Promise<Page<Group>> => {
  const size = pageLimit(limit)
  if (Object.keys(labels).length > 0) {
    const rows = await listGroupRowsByLabels(db, { labels, after: afterId(cursor), limit: size + 1, members: shownMembers + 1 })
    const page = byId(rows, size, shownMembers)
    return { ...page, items: page.items.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace) }
  }
  if (namespace === undefined)
    return byId(await listGroupRows(db, { after: afterId(cursor), limit: size + 1, members: shownMembers + 1 }), size, shownMembers)
  const [after = ''] = parseCursor(cursor, ['text']) ?? []
  const rows = await listGroupRowsOfNamespace(db, { namespace, after, limit: size + 1, members: shownMembers + 1 })
  return pageOf(rows, size, (row) => [row.resource_name], renderGroup)
}

const afterId = (cursor: string | undefined): string | null => parseCursor(cursor, ['uuid'])?.[0] ?? null

const renderInList = (row: GroupRow): Group => renderGroup(row, shownMembersInList)

const byId = (rows: GroupRow[], size: number, most = shownMembersInList): Page<Group> =>
  pageOf(
    rows,
    size,
    (row) => [row.group_id],
    (row) => renderGroup(row, most),
  )

export interface GroupCreation extends Change {
  /** Where it stands among the resources; absent: in namespace default, under its name if that can be such a name, else its id. */
  metadata?: Place | undefined
}

/** Throws Problem `invalid` (every bad field, unknown members and parents), `conflict` when the name is taken. */
export const createGroup = async (db: Db, input: GroupInput | object, creation: GroupCreation, now: Date): Promise<Group> => {
  const fields = parseFields(groupFields, input)
  return db.transaction(async (tx) => {
    const group_id = uuidv7(now)
    const { member_ids, parent_ids } = await resolveNames(tx, fields)
    const isTaken = async (namespace: string, name: string) => (await findGroupByResource(tx, namespace, name)) !== undefined
    const { namespace, name, labels, annotations } = creation.metadata ?? (await freePlace(nameKey(fields.name), group_id, isTaken))
    const row = rowOf(group_id, fields, { labels, annotations })
    await claimName(tx, row)
    if (!(await insertGroup(tx, { ...row, namespace, resource_name: name }, now)))
      throw new Problem('conflict', {
        detail: `a group ${namespace}/${name} exists`,
        errors: [{ pointer: '/metadata/name', detail: 'is taken' }],
      })
    if (member_ids?.length) {
      await insertMembers(tx, group_id, member_ids)
      await bumpUsers(tx, member_ids, now)
    }
    if (parent_ids?.length) await nestGroup(tx, group_id, parent_ids)
    const created = await getGroup(tx, group_id)
    await recordChange(
      tx,
      creation,
      { action: 'group.created', target: targetOf(created), changes: changesBetween({}, fieldsOf(created)) },
      now,
    )
    return created
  })
}

/** JSON merge patch (RFC 7396). Throws Problem `not_found`, `invalid`, `conflict`, `precondition_failed`. */
export const updateGroup = (db: Db, id: string, patch: object, writing: Writing, now: Date): Promise<Group> =>
  writeGroup(db, id, (current) => patched(current, patch as Record<string, unknown>), writing, now)

/** All fields at once: what is not named gets its default, but members and parents stay as they are. Throws as `updateGroup`. */
export const replaceGroup = (db: Db, id: string, input: GroupInput | object, replacement: Replacement, now: Date): Promise<Group> =>
  writeGroup(db, id, () => ({ input, errors: [] }), replacement, now)

const membersAtOnce = 5_000

/** Its members stay users, the groups in it stay groups. Throws Problem `not_found`, `precondition_failed`. */
export const deleteGroup = (db: Db, id: string, writing: Writing, now: Date): Promise<void> =>
  db.transaction(async (tx) => {
    if (!isUuid(id)) throw new Problem('not_found')
    await lockMembership(tx, [id])
    await lockGroupRow(tx, id)
    const group = await getGroup(tx, id)
    checkVersion(group, writing)
    let last: string | undefined
    do last = (await deleteMembersAfter(tx, id, last ?? null, membersAtOnce))?.user_id
    while (last !== undefined)
    await deleteGroupRow(tx, id)
    await recordChange(tx, writing, { action: 'group.deleted', target: targetOf(group), changes: changesBetween(fieldsOf(group), {}) }, now)
  })

/** Puts users into a group and takes others out, by username; for groups too large to be written as a list. Throws Problem `not_found`, `invalid`. */
export const changeMembers = (
  db: Db,
  id: string,
  { add = [], remove = [] }: { add?: string[]; remove?: string[] },
  change: Change,
  now: Date,
): Promise<void> =>
  db.transaction(async (tx) => {
    if (!isUuid(id) || add.length + remove.length > shownMembers)
      throw new Problem(
        isUuid(id) ? 'invalid' : 'not_found',
        isUuid(id) ? { errors: [{ pointer: '', detail: `wants at most ${shownMembers} names` }] } : {},
      )
    const [gained = [], lost = []] = await resolveAll([() => resolveUsers(tx, add, '/add'), () => resolveUsers(tx, remove, '/remove')])
    await lockMembership(tx, [id])
    await lockGroupRow(tx, id)
    const group = await getGroup(tx, id, 0)
    await storeMembers(tx, id, { gained, lost }, now)
    await bumpGroups(tx, [id], now)
    await recordChange(
      tx,
      change,
      { action: 'group.updated', target: targetOf(group), data: { added: add.slice(0, 100), removed: remove.slice(0, 100) } },
      now,
    )
  })

/** Read-only fields may come back as they were sent out. */
const readOnly = ['id', 'resourceVersion', 'createdAt', 'updatedAt', 'membersTruncated'] as const

const patched = (current: Group, given: Record<string, unknown>): Wanted => {
  const { patch, errors } = withoutReadOnly(current, given, readOnly)
  for (const list of ['members', 'parents']) if (patch[list] === null) patch[list] = []
  const { name, attributes } = current
  return { input: mergePatch({ name, attributes }, patch) as object, errors }
}

const writeGroup = (db: Db, id: string, makeInput: (current: Group) => Wanted, replacement: Replacement, now: Date): Promise<Group> =>
  db.transaction(async (tx) => {
    if (!isUuid(id)) throw new Problem('not_found')
    // Before any row, in the order in which users do it when their groups change.
    await lockMembership(tx, [id])
    await lockGroupRow(tx, id)
    const current = await getGroup(tx, id)
    checkVersion(current, replacement)
    const { input, errors } = makeInput(current)
    return await storeGroup(tx, current, parseFields(groupFields, input, errors), replacement, now)
  })

const storeGroup = async (tx: Db, current: Group, fields: GroupFields, replacement: Replacement, now: Date): Promise<Group> => {
  const { labels = current.metadata.labels, annotations = current.metadata.annotations } = replacement
  const { member_ids, parent_ids } = await resolveNames(tx, fields)
  const memberChange = member_ids ? await compareMembers(tx, current, member_ids) : { gained: [], lost: [] }
  const row = rowOf(current.id, fields, { labels, annotations })
  const isRenamed = fields.name !== current.name
  if (isRenamed) await claimName(tx, row)
  await storeMembers(tx, current.id, memberChange, now)
  if (parent_ids && !isDeepStrictEqual(fields.parents, current.parents)) await nestGroup(tx, current.id, parent_ids)
  const written = await getGroup(tx, current.id)
  const changes = changesBetween(fieldsOf(current), { ...fieldsOf(written), name: fields.name, attributes: fields.attributes })
  const metadata = metadataChanges(current, { labels, annotations })
  const specChanged = Object.keys(changes).length > 0
  if (!specChanged && Object.keys(metadata).length === 0) return current
  await updateGroupRow(tx, row, specChanged, now)
  await recordChange(tx, replacement, { action: 'group.updated', target: targetOf(current), changes: { ...changes, ...metadata } }, now)
  return await getGroup(tx, current.id)
}

const storeMembers = async (tx: Db, group_id: string, { gained, lost }: { gained: string[]; lost: string[] }, now: Date): Promise<void> => {
  if (gained.length) await insertMembers(tx, group_id, gained)
  if (lost.length) await deleteMembers(tx, group_id, lost)
  if (gained.length + lost.length) await bumpUsers(tx, [...gained, ...lost], now)
}

const getGroup = async (db: Db, id: string, most?: number): Promise<Group> => {
  const group = await findGroup(db, id, most)
  if (!group) throw new Problem('not_found')
  return group
}

const fieldsOf = ({ name, members, parents, attributes }: Group): Record<string, unknown> => ({ name, members, parents, attributes })

const rowOf = (
  group_id: string,
  { name, attributes }: GroupFields,
  { labels, annotations }: Pick<Place, 'labels' | 'annotations'>,
): GroupToWrite => ({
  group_id,
  name,
  name_key: nameKey(name),
  attributes,
  labels,
  annotations,
  search_text: searchText(name),
})

/** From here to the end of the transaction nobody else takes this name; throws Problem `conflict` when someone has. */
const claimName = async (db: Db, { group_id, name_key }: GroupToWrite): Promise<void> => {
  await lockGroupName(db, name_key)
  const owners = await findGroupsByKeys(db, [name_key])
  if (owners.some((owner) => owner.group_id !== group_id))
    throw new Problem('conflict', { detail: 'a group of that name exists', errors: [{ pointer: '/name', detail: 'is taken' }] })
}

/** Ids of members and parents; undefined where nothing is said. */
const resolveNames = async (db: Db, { members, parents }: GroupFields) => {
  const [member_ids, parent_ids] = await resolveAll([
    members && (() => resolveUsers(db, members, '/members')),
    parents && (() => resolveGroups(db, parents, '/parents')),
  ])
  return { member_ids, parent_ids }
}

/** A list that was cut when it was read can not be written back: those not shown would be lost. */
const compareMembers = async (db: Db, group: Group, member_ids: string[]): Promise<{ gained: string[]; lost: string[] }> => {
  if (group.membersTruncated)
    throw new Problem('invalid', {
      errors: [{ pointer: '/members', detail: `has more than ${shownMembers} members, which can not be written as a list` }],
    })
  const has = new Set((await listMemberIds(db, group.id, shownMembers + 1)).map(({ user_id }) => user_id))
  const wanted = new Set(member_ids)
  return { gained: member_ids.filter((id) => !has.has(id)), lost: [...has].filter((id) => !wanted.has(id)) }
}

const targetOf = ({ name }: Group) => ({ kind: 'Group', name })
