/** `users`, and the view `users_shown`, which adds the names of the groups that a user is in by itself. */
import { type Db, plannedAnew, sql } from '#/lib/sql.ts'

export interface UserRow {
  user_id: string
  namespace: string
  resource_name: string
  username: string
  email: string | null
  email_verified: boolean
  name: string | null
  locale: string | null
  active: boolean
  service_account: boolean
  attributes: Record<string, unknown>
  labels: Record<string, string>
  annotations: Record<string, string>
  generation: string
  resource_version: string
  created_at: Date
  updated_at: Date
  groups: string[]
}

export interface UserToWrite {
  user_id: string
  username: string
  username_key: string
  email: string | null
  email_key: string | null
  email_verified: boolean
  name: string | null
  locale: string | null
  active: boolean
  service_account: boolean
  attributes: Record<string, unknown>
  labels: Record<string, string>
  annotations: Record<string, string>
  search_text: string
}

/** Until the transaction ends no one else may take these names. Locked in one order, so that two who want the same two do not wait for each other. */
export const lockLogins = (db: Db, keys: string[]) =>
  db.any(sql`
    select pg_advisory_xact_lock(k)
      from (select distinct hashtextextended(key, 7236019) as k
              from unnest(${keys}::text[]) as key
             order by 1) as keys`)

/** Who can be meant by one of these keys, as username or as e-mail address. */
export const findLoginOwners = (db: Db, keys: string[]) =>
  db.any<{ user_id: string; username_key: string; email_key: string | null }>(sql`
    select user_id, username_key, email_key
      from users
     where username_key = any(${keys}::text[])
     union
    select user_id, username_key, email_key
      from users
     where email_key = any(${keys}::text[])`)

/** 0 when a name, address, id or resource name is taken. */
export const insertUser = (db: Db, user: UserToWrite & { namespace: string; resource_name: string }, now: Date) =>
  db.run(sql`
    insert into users (user_id, namespace, resource_name, username, username_key, email, email_key, email_verified, name, locale,
                       active, service_account, attributes, labels, annotations, search_text, created_at, updated_at)
    values (${user.user_id}, ${user.namespace}, ${user.resource_name}, ${user.username}, ${user.username_key}, ${user.email},
            ${user.email_key}, ${user.email_verified}, ${user.name}, ${user.locale}, ${user.active}, ${user.service_account},
            ${JSON.stringify(user.attributes)}, ${JSON.stringify(user.labels)}, ${JSON.stringify(user.annotations)},
            ${user.search_text}, ${now}, ${now})
    on conflict do nothing`)

/** `specChanged` makes a new generation. */
export const updateUserRow = (db: Db, user: UserToWrite, specChanged: boolean, now: Date) =>
  db.run(sql`
    update users
       set username = ${user.username},
           username_key = ${user.username_key},
           email = ${user.email},
           email_key = ${user.email_key},
           email_verified = ${user.email_verified},
           name = ${user.name},
           locale = ${user.locale},
           active = ${user.active},
           service_account = ${user.service_account},
           attributes = ${JSON.stringify(user.attributes)},
           labels = ${JSON.stringify(user.labels)},
           annotations = ${JSON.stringify(user.annotations)},
           search_text = ${user.search_text},
           generation = generation + ${specChanged ? 1 : 0}::int,
           resource_version = nextval('resource_version'),
           updated_at = ${now}
     where user_id = ${user.user_id}`)

/** What is shown of these users changed elsewhere: in their groups. */
export const bumpUsers = (db: Db, user_ids: string[], now: Date) =>
  db.run(sql`
    update users
       set resource_version = nextval('resource_version'),
           updated_at = ${now}
     where user_id = any(${user_ids}::uuid[])`)

export const deleteUserRow = (db: Db, user_id: string) =>
  db.run(sql`
    delete from users
     where user_id = ${user_id}`)

export const findUserRow = (db: Db, user_id: string) =>
  db.maybeOne<UserRow>(sql`
    select *
      from users_shown
     where user_id = ${user_id}`)

/** Others who write the same user wait until the transaction ends. */
export const lockUserRow = (db: Db, user_id: string) =>
  db.maybeOne<{ user_id: string }>(sql`
    select user_id
      from users
     where user_id = ${user_id}
       for no key update`)

export const findUserRowByResource = (db: Db, namespace: string, resource_name: string) =>
  db.maybeOne<UserRow>(sql`
    select *
      from users_shown
     where namespace = ${namespace}
       and resource_name = ${resource_name}`)

/** By username before e-mail address, should two users be meant. */
export const findUserRowByLogin = (db: Db, username_key: string, email_key: string) =>
  db.maybeOne<UserRow>(sql`
    select *
      from users_shown
     where user_id = coalesce(
             (select user_id from users where username_key = ${username_key}),
             (select user_id from users where email_key = ${email_key}))`)

/** In no order; those unknown are missing. */
export const findUsersByKeys = (db: Db, username_keys: string[]) =>
  db.any<{ user_id: string; username_key: string }>(sql`
    select user_id, username_key
      from users
     where username_key = any(${username_keys}::text[])`)

/** By id, which is the order of making; `after` is the last one seen. */
export const listUserRows = (db: Db, after: string | null, limit: number) =>
  db.any<UserRow>(sql`
    select *
      from users_shown
     where user_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
     order by user_id
     limit ${limit}`)

/** How many users the planner believes there are, and how many are like the pattern. Nothing is read but statistics. */
export const estimateSearch = async (db: Db, pattern: string): Promise<{ users: number; found: number }> => {
  const plan = await db.one<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    plannedAnew(sql`explain (format json) select from users where search_text like ${pattern}`),
  )
  return { users: await estimateUsers(db), found: plan['QUERY PLAN'][0].Plan['Plan Rows'] }
}

/** How many users the planner believes there are; -1 when it has never looked. */
export const estimateUsers = async (db: Db): Promise<number> =>
  (await db.one<{ users: number }>(sql`select reltuples as users from pg_class where oid = 'users'::regclass`)).users

/** Those whose `search_text` is like `pattern`, but for those who begin so: patterns of their beginnings, null where none is asked for. */
export interface PartSearch {
  pattern: string
  username: string | null
  email: string | null
  full_name: string | null
  last_name: string | null
  domain: string | null
}

/**
 * All of them are found by trigrams before they are sorted by id: for patterns that few are like.
 * What is left out stands within `coalesce`, since the planner would take its time to estimate each of the patterns.
 */
export const searchUserRows = (db: Db, { pattern, ...begins }: PartSearch, after: string | null, limit: number) =>
  db.any<UserRow>(
    plannedAnew(sql`
    with found as materialized (
      select user_id
        from user_beginnings
       where search_text like ${pattern}
         and not coalesce(username_key like ${begins.username} or email_key like ${begins.email} or full_name like ${begins.full_name}
                          or last_name like ${begins.last_name} or domain like ${begins.domain}, false)
    ), page as (
      select user_id
        from found
       where user_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
       order by user_id
       limit ${limit}
    )
    select u.*
      from page
      join users_shown u on u.user_id = page.user_id
     order by u.user_id`),
  )

/**
 * The same among the next `steps` users alone: for patterns that many are like. One row at least, which says how far it came (`walked_to`,
 * null at the end of the table); the others beside it have a user.
 */
export const walkUserRows = (
  db: Db,
  { pattern, ...begins }: PartSearch,
  { after, steps, limit }: { after: string | null; steps: number; limit: number },
) =>
  db.any<{ walked_to: string | null } & (UserRow | { user_id: null })>(
    plannedAnew(sql`
    with walked as materialized (
      select user_id, username_key, email_key, search_text
        from users
       where user_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
       order by user_id
       limit ${steps}
    ), page as (
      select user_id
        from walked
       where search_text like ${pattern}
         and not coalesce(username_key like ${begins.username} or email_key like ${begins.email}
                          or split_part(search_text, E'\\n', -1) like ${begins.full_name}
                          or split_part(split_part(search_text, E'\\n', -1), ' ', -1) like ${begins.last_name}
                          or split_part(email_key, '@', 2) like ${begins.domain}, false)
       order by user_id
       limit ${limit}
    )
    select last.walked_to, u.*
      from (select case when (select count(*) from walked) = ${steps}
                        then (select user_id from walked order by user_id desc limit 1)
                   end as walked_to) as last
      left join page on true
      left join users_shown u on u.user_id = page.user_id
     order by u.user_id`),
  )

export interface UserBeginning {
  user_id: string
  username_key: string
  email_key: string | null
  full_name: string
  last_name: string
  domain: string | null
}

export interface BeginningRange {
  from: string
  to: string
  /** The last one seen: those after it by key, and of one key by id. */
  after: { key: string; user_id: string }
}

/**
 * Those of whom this begins so, in its order. Each reads as many rows of its index as it answers, however many users there are: where an
 * index is in the order of two columns, a scan begins at the comparison of both, so there may be no other lower bound beside it.
 */
export const findBeginnings = {
  username_key: (db: Db, { from, to, after }: BeginningRange, limit: number) =>
    db.any<UserBeginning>(sql`
      select user_id, username_key, email_key, full_name, last_name, domain
        from user_beginnings
       where username_key >= ${from}
         and username_key < ${to}
         and username_key > ${after.key}
       order by username_key
       limit ${limit}`),
  email_key: (db: Db, { from, to, after }: BeginningRange, limit: number) =>
    db.any<UserBeginning>(sql`
      select user_id, username_key, email_key, full_name, last_name, domain
        from user_beginnings
       where email_key >= ${from}
         and email_key < ${to}
         and email_key > ${after.key}
       order by email_key
       limit ${limit}`),
  full_name: (db: Db, { from, to, after }: BeginningRange, limit: number) =>
    db.any<UserBeginning>(sql`
      select user_id, username_key, email_key, full_name, last_name, domain
        from user_beginnings
       where (full_name, user_id) > (greatest(${from} collate "C", ${after.key}), ${after.user_id}::uuid)
         and full_name < ${to}
       order by full_name, user_id
       limit ${limit}`),
  last_name: (db: Db, { from, to, after }: BeginningRange, limit: number) =>
    db.any<UserBeginning>(sql`
      select user_id, username_key, email_key, full_name, last_name, domain
        from user_beginnings
       where (last_name, user_id) > (greatest(${from} collate "C", ${after.key}), ${after.user_id}::uuid)
         and last_name < ${to}
       order by last_name, user_id
       limit ${limit}`),
  domain: (db: Db, { from, to, after }: BeginningRange, limit: number) =>
    db.any<UserBeginning>(sql`
      select user_id, username_key, email_key, full_name, last_name, domain
        from user_beginnings
       where (domain, user_id) > (greatest(${from} collate "C", ${after.key}), ${after.user_id}::uuid)
         and domain < ${to}
       order by domain, user_id
       limit ${limit}`),
}

/** In no order; those unknown are missing. */
export const findUserRows = (db: Db, user_ids: string[]) =>
  db.any<UserRow>(sql`
    select *
      from users_shown
     where user_id = any(${user_ids}::uuid[])`)

/** Whose username begins so, by username; `after` is the key of the last one seen, `from` and `to` bound the beginning. */
export const listUserRowsFrom = (db: Db, { from, to, after }: { from: string; to: string; after: string }, limit: number) =>
  db.any<UserRow & { username_key: string }>(sql`
    select *
      from users_shown
     where username_key >= ${from}
       and username_key < ${to}
       and username_key > ${after}
     order by username_key
     limit ${limit}`)

/** Of one namespace, by resource name; `after` is the last one seen. */
export const listUserRowsOfNamespace = (db: Db, namespace: string, after: string, limit: number) =>
  db.any<UserRow>(sql`
    select *
      from users_shown
     where namespace = ${namespace}
       and resource_name > ${after}
     order by resource_name
     limit ${limit}`)

/** Users that came from manifests with all of these labels, by id. */
export const listUserRowsByLabels = (db: Db, labels: Record<string, string>, after: string | null, limit: number) =>
  db.any<UserRow>(sql`
    select *
      from users_shown
     where labels <> '{}'
       and labels @> ${JSON.stringify(labels)}::jsonb
       and user_id > coalesce(${after}::uuid, '00000000-0000-0000-0000-000000000000')
     order by user_id
     limit ${limit}`)
