import { type Db, sql } from '#/lib/sql.ts'
import type { FailedSignIns } from './failed_sign_ins.ts'

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

interface CountedLogin extends Login {
  key: Buffer | null
  failed_at: Date[] | null
}

/**
 * Who is meant by these keys, as `findUserRowByLogin` says, with their password and the failures that are `counted`: one statement, so that having a
 * password takes no more time.
 */
export const findCountedLogin = async (
  db: Db,
  { username_key, email_key }: { username_key: string | null; email_key: string | null },
  counted: readonly Buffer[],
): Promise<{ login: Login | undefined; failures: FailedSignIns[] }> => {
  const rows = await db.any<CountedLogin | { user_id: null; key: Buffer | null; failed_at: Date[] | null }>(sql`
    select u.user_id, u.username, u.active, u.service_account, p.hash, p.changed_at, f.key, f.failed_at
      from (select coalesce(
             (select user_id from users where username_key = ${username_key}),
             (select user_id from users where email_key = ${email_key})) as user_id) as meant
      left join users u on u.user_id = meant.user_id
      left join passwords p on p.user_id = meant.user_id
      left join failed_sign_ins f on f.key = any(${counted})`)
  const [first] = rows
  return {
    login: first && first.user_id !== null ? first : undefined,
    failures: rows.flatMap(({ key, failed_at }) => (key && failed_at ? [{ key, failed_at }] : [])),
  }
}

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
