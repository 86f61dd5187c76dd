import { type Db, sql } from '#/lib/sql.ts'

/** Until the transaction ends no one else may nest groups: a cycle is made by two who each see none. */
export const lockNesting = (db: Db) => db.any(sql`select pg_advisory_xact_lock(7236020)`)

export const replaceParents = (db: Db, group_id: string, parent_ids: string[]) =>
  db.run(sql`
    with gone as (
      delete from group_parents
       where group_id = ${group_id}
         and parent_id <> all(${parent_ids}::uuid[])
    )
    insert into group_parents (group_id, parent_id)
    select ${group_id}, parent_id
      from unnest(${parent_ids}::uuid[]) as parent_id
    on conflict do nothing`)

/** How far the longest way up from these groups goes (0: none has a parent), and whether it leads to `group_id`. Never looks beyond `bound` steps. */
export const measureAbove = (db: Db, group_ids: string[], group_id: string, bound: number) =>
  db.one<{ depth: number; meets: boolean }>(sql`
    with recursive above (group_id, depth) as (
      select id, 0
        from unnest(${group_ids}::uuid[]) as id
       union
      select p.parent_id, a.depth + 1
        from above a
        join group_parents p on p.group_id = a.group_id
       where a.depth < ${bound}
    )
    select coalesce(max(depth), 0) as depth,
           coalesce(bool_or(group_id = ${group_id}), false) as meets
      from above`)

/** How far the longest way down from a group goes. Never looks beyond `bound` steps. */
export const measureBelow = (db: Db, group_id: string, bound: number) =>
  db.one<{ depth: number }>(sql`
    with recursive below (group_id, depth) as (
      select ${group_id}::uuid, 0
       union
      select p.group_id, b.depth + 1
        from below b
        join group_parents p on p.parent_id = b.group_id
       where b.depth < ${bound}
    )
    select max(depth) as depth
      from below`)

/** Names of every group above one, sorted. Never looks beyond `bound` steps. */
export const listGroupsAbove = (db: Db, group_id: string, bound: number, limit: number) =>
  db.any<{ name: string }>(sql`
    with recursive above (group_id, depth) as (
      select ${group_id}::uuid, 0
       union
      select p.parent_id, a.depth + 1
        from above a
        join group_parents p on p.group_id = a.group_id
       where a.depth < ${bound}
    )
    select g.name
      from (select distinct group_id from above where depth > 0) as a
     cross join lateral (select name, name_key from groups where group_id = a.group_id limit 1) as g
     order by g.name_key
     limit ${limit}`)

/** Names of a group and of every group above it: what its members are members of. */
export const listNamesAbove = (db: Db, group_id: string, bound: number) =>
  db.any<{ name: string }>(sql`
    with recursive above (group_id, depth) as (
      select ${group_id}::uuid, 0
       union
      select p.parent_id, a.depth + 1
        from above a
        join group_parents p on p.group_id = a.group_id
       where a.depth < ${bound}
    )
    select name
      from groups
     where group_id in (select group_id from above)`)
