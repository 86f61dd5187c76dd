import { type Db, sql } from '#/lib/sql.ts'

/** Until the transaction ends no one else may change who is in these groups. Locked in one order, so that two do not wait for each other. */
export const lockMembership = (db: Db, group_ids: string[]) =>
  db.any(sql`
    select pg_advisory_xact_lock(k)
      from (select distinct hashtextextended(id::text, 7236021) as k
              from unnest(${group_ids}::uuid[]) as id
             order by 1) as ids`)

export const listGroupIdsOfUser = (db: Db, user_id: string) =>
  db.any<{ group_id: string }>(sql`
    select group_id
      from group_members
     where user_id = ${user_id}`)

/** Users of a group in the order of their ids, at most `limit`. */
export const listMemberIds = (db: Db, group_id: string, limit: number) =>
  db.any<{ user_id: string }>(sql`
    select user_id
      from group_members
     where group_id = ${group_id}
     order by user_id
     limit ${limit}`)

/** Those who are members already are passed over. */
export const insertMembers = (db: Db, group_id: string, user_ids: string[]) =>
  db.run(sql`
    insert into group_members (group_id, user_id)
    select ${group_id}, user_id
      from unnest(${user_ids}::uuid[]) as user_id
    on conflict do nothing`)

export const deleteMembers = (db: Db, group_id: string, user_ids: string[]) =>
  db.run(sql`
    delete from group_members
     where group_id = ${group_id}
       and user_id = any(${user_ids}::uuid[])`)

/**
 * Removes the next of a group in the order of their ids, and answers the last of them; undefined when there was none. All of a large group in
 * one statement would take longer than a statement may; without `after` each would pass all those that the ones before removed.
 */
export const deleteMembersAfter = (db: Db, group_id: string, after: string | null, limit: number) =>
  db.maybeOne<{ user_id: string }>(sql`
    with gone as materialized (
      select user_id
        from group_members
       where group_id = ${group_id}
         and user_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
       order by user_id
       limit ${limit}
    ), deleted as (
      delete from group_members
       where group_id = ${group_id}
         and user_id = any(array(select user_id from gone))
    )
    select user_id
      from gone
     order by user_id desc
     limit 1`)

export const insertMemberships = (db: Db, user_id: string, group_ids: string[]) =>
  db.run(sql`
    insert into group_members (group_id, user_id)
    select group_id, ${user_id}
      from unnest(${group_ids}::uuid[]) as group_id
    on conflict do nothing`)

export const deleteMemberships = (db: Db, user_id: string, group_ids: string[]) =>
  db.run(sql`
    delete from group_members
     where user_id = ${user_id}
       and group_id = any(${group_ids}::uuid[])`)

/**
 * Names of every group a user is in, by itself or through a group in it, by name. Nesting is of bounded depth; `bound` says how deep is looked.
 * `limit 1` keeps each look-up on the key of groups: a plan that cannot know how many groups there will be reads the whole table.
 */
export const listEffectiveGroups = (db: Db, user_id: string, bound: number, limit: number) =>
  db.any<{ name: string }>(sql`
    with recursive held (group_id, depth) as (
      select group_id, 0
        from group_members
       where user_id = ${user_id}
       union
      select p.parent_id, h.depth + 1
        from held h
        join group_parents p on p.group_id = h.group_id
       where h.depth < ${bound}
    )
    select g.name
      from (select distinct group_id from held) as h
     cross join lateral (select name, name_key from groups where group_id = h.group_id limit 1) as g
     order by g.name_key
     limit ${limit}`)

/** Which of these groups a user is in, by itself or through others, however many else there are. */
export const listEffectiveGroupsNamed = (db: Db, user_id: string, bound: number, name_keys: string[]) =>
  db.any<{ name: string }>(sql`
    with recursive held (group_id, depth) as (
      select group_id, 0
        from group_members
       where user_id = ${user_id}
       union
      select p.parent_id, h.depth + 1
        from held h
        join group_parents p on p.group_id = h.group_id
       where h.depth < ${bound}
    )
    select g.name
      from groups g
     where g.name_key = any(${name_keys}::text[])
       and g.group_id in (select group_id from held)`)
