import { type Db, sql } from '#/lib/sql.ts'

export interface PasswordRow {
  hash: string
  changed_at: Date
}

export const findPassword = (db: Db, user_id: string) =>
  db.maybeOne<PasswordRow>(sql`
    select hash, changed_at
      from passwords
     where user_id = ${user_id}`)

export interface Login {
  user_id: string
  username: string
  active: boolean
  service_account: boolean
  /** Null for who has no password. */
  hash: string | null
  changed_at: Date | null
}

/** Who is meant by these keys, as `findUserRowByLogin` says, with their password: one statement, so that having one takes no more time. */
export const findLogin = (db: Db, username_key: string, email_key: string) =>
  db.maybeOne<Login>(sql`
    select u.user_id, u.username, u.active, u.service_account, p.hash, p.changed_at
      from users u
      left join passwords p on p.user_id = u.user_id
     where u.user_id = coalesce(
             (select user_id from users where username_key = ${username_key}),
             (select user_id from users where email_key = ${email_key}))`)

/** Whether it took the place of another one. */
export const storePassword = async (db: Db, user_id: string, hash: string, now: Date): Promise<boolean> =>
  (
    await db.one<{ replaced: boolean }>(sql`
    insert into passwords (user_id, hash, changed_at)
    values (${user_id}, ${hash}, ${now})
    on conflict (user_id) do update
       set hash = excluded.hash,
           changed_at = excluded.changed_at
    returning xmax <> 0 as replaced`)
  ).replaced

/** The same password in another form: when it was changed in the meantime, nothing happens. */
export const replacePasswordHash = (db: Db, user_id: string, from: string, to: string) =>
  db.run(sql`
    update passwords
       set hash = ${to}
     where user_id = ${user_id}
       and hash = ${from}`)

/** A few that are not ours of today, as the index `passwords_imported_idx` has them. */
export const listImportedHashes = (db: Db) =>
  db.any<{ hash: string }>(sql`
    select hash
      from passwords
     where hash not like '$argon2id$v=19$m=19456,t=2,p=1$%'
     limit 100`)

export const deletePassword = (db: Db, user_id: string) =>
  db.run(sql`
    delete from passwords
     where user_id = ${user_id}`)
