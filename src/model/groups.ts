/** `groups`. Shown with the usernames of the first `members` who are in it and the names of its parents. */
import { type Db, plannedAnew, sql } from '#/lib/sql.ts'

export interface GroupRow {
  group_id: string
  namespace: string
  resource_name: string
  name: string
  attributes: Record<string, unknown>
  labels: Record<string, string>
  annotations: Record<string, string>
  generation: string
  resource_version: string
  created_at: Date
  updated_at: Date
  members: string[]
  parents: string[]
}

export interface GroupToWrite {
  group_id: string
  name: string
  name_key: string
  attributes: Record<string, unknown>
  labels: Record<string, string>
  annotations: Record<string, string>
  search_text: string
}

/** 0 when the name, id or resource name is taken. */
export const insertGroup = (db: Db, group: GroupToWrite & { namespace: string; resource_name: string }, now: Date) =>
  db.run(sql`
    insert into groups (group_id, namespace, resource_name, name, name_key, attributes, labels, annotations, search_text, created_at, updated_at)
    values (${group.group_id}, ${group.namespace}, ${group.resource_name}, ${group.name}, ${group.name_key},
            ${JSON.stringify(group.attributes)}, ${JSON.stringify(group.labels)}, ${JSON.stringify(group.annotations)},
            ${group.search_text}, ${now}, ${now})
    on conflict do nothing`)

/** 0 when the name belongs to another group. `specChanged` makes a new generation. */
export const updateGroupRow = (db: Db, group: GroupToWrite, specChanged: boolean, now: Date) =>
  db.run(sql`
    update groups
       set name = ${group.name},
           name_key = ${group.name_key},
           attributes = ${JSON.stringify(group.attributes)},
           labels = ${JSON.stringify(group.labels)},
           annotations = ${JSON.stringify(group.annotations)},
           search_text = ${group.search_text},
           generation = generation + ${specChanged ? 1 : 0}::int,
           resource_version = nextval('resource_version'),
           updated_at = ${now}
     where group_id = ${group.group_id}`)

/** What is shown of these groups changed elsewhere: in their members. */
export const bumpGroups = (db: Db, group_ids: string[], now: Date) =>
  db.run(sql`
    update groups
       set resource_version = nextval('resource_version'),
           updated_at = ${now}
     where group_id = any(${group_ids}::uuid[])`)

export const deleteGroupRow = (db: Db, group_id: string) =>
  db.run(sql`
    delete from groups
     where group_id = ${group_id}`)

/** Until the transaction ends no one else may take this name. */
export const lockGroupName = (db: Db, name_key: string) => db.any(sql`select pg_advisory_xact_lock(hashtextextended(${name_key}, 7236022))`)

/** Others who write the same group wait until the transaction ends. */
export const lockGroupRow = (db: Db, group_id: string) =>
  db.maybeOne<{ group_id: string }>(sql`
    select group_id
      from groups
     where group_id = ${group_id}
       for no key update`)

/** In no order; those unknown are missing. */
export const findGroupsByKeys = (db: Db, name_keys: string[]) =>
  db.any<{ group_id: string; name_key: string }>(sql`
    select group_id, name_key
      from groups
     where name_key = any(${name_keys}::text[])`)

export const findGroupRow = (db: Db, group_id: string, members: number) =>
  db.maybeOne<GroupRow>(sql`
    select *,
           array(select username from group_members_shown m where m.group_id = g.group_id order by user_id limit ${members}) as members
      from groups_shown g
     where group_id = ${group_id}`)

export const findGroupRowByResource = (db: Db, namespace: string, resource_name: string, members: number) =>
  db.maybeOne<GroupRow>(sql`
    select *,
           array(select username from group_members_shown m where m.group_id = g.group_id order by user_id limit ${members}) as members
      from groups_shown g
     where namespace = ${namespace}
       and resource_name = ${resource_name}`)

/** By id, which is the order of making; `after` is the last one seen. */
export const listGroupRows = (db: Db, { after, limit, members }: { after: string | null; limit: number; members: number }) =>
  db.any<GroupRow>(sql`
    select *,
           array(select username from group_members_shown m where m.group_id = g.group_id order by user_id limit ${members}) as members
      from groups_shown g
     where group_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
     order by group_id
     limit ${limit}`)

/** Whose name is like the pattern, by id. For patterns with three letters or digits in a row: the trigram index finds them. */
export const searchGroupRows = (
  db: Db,
  { pattern, after, limit, members }: { pattern: string; after: string | null; limit: number; members: number },
) =>
  db.any<GroupRow>(
    plannedAnew(sql`
    select *,
           array(select username from group_members_shown m where m.group_id = g.group_id order by user_id limit ${members}) as members
      from groups_shown g
     where search_text like ${pattern}
       and group_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
     order by group_id
     limit ${limit}`),
  )

/** Whose name begins so, by name; `after` is the key of the last one seen, `from` and `to` bound the beginning. */
export const listGroupRowsFrom = (
  db: Db,
  { from, to, after, limit, members }: { from: string; to: string; after: string; limit: number; members: number },
) =>
  db.any<GroupRow & { name_key: string }>(sql`
    select *,
           array(select username from group_members_shown m where m.group_id = g.group_id order by user_id limit ${members}) as members
      from groups_shown g
     where name_key >= ${from}
       and name_key < ${to}
       and name_key > ${after}
     order by name_key
     limit ${limit}`)

/** Of one namespace, by resource name; `after` is the last one seen. */
export const listGroupRowsOfNamespace = (
  db: Db,
  { namespace, after, limit, members }: { namespace: string; after: string; limit: number; members: number },
) =>
  db.any<GroupRow>(sql`
    select *,
           array(select username from group_members_shown m where m.group_id = g.group_id order by user_id limit ${members}) as members
      from groups_shown g
     where namespace = ${namespace}
       and resource_name > ${after}
     order by resource_name
     limit ${limit}`)

/** Groups that came from manifests with all of these labels, by id. */
export const listGroupRowsByLabels = (
  db: Db,
  { labels, after, limit, members }: { labels: Record<string, string>; after: string | null; limit: number; members: number },
) =>
  db.any<GroupRow>(sql`
    select *,
           array(select username from group_members_shown m where m.group_id = g.group_id order by user_id limit ${members}) as members
      from groups_shown g
     where labels <> '{}'
       and labels @> ${JSON.stringify(labels)}::jsonb
       and group_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
     order by group_id
     limit ${limit}`)
