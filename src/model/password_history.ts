import { type Db, sql } from '#/lib/sql.ts'

/** The last ones, newest first, without the present one. */
export const listPasswordHistory = async (db: Db, user_id: string, limit: number): Promise<string[]> => {
  const rows = await db.any<{ hash: string }>(sql`
    select hash
      from password_history
     where user_id = ${user_id}
     order by entry_id desc
     limit ${limit}`)
  return rows.map(({ hash }) => hash)
}

/** Remembers the present password, before another takes its place. */
export const keepPassword = (db: Db, user_id: string, now: Date) =>
  db.run(sql`
    insert into password_history (user_id, hash, changed_at, ended_at)
    select user_id, hash, changed_at, ${now}::timestamptz
      from passwords
     where user_id = ${user_id}`)

/** Forgets all but the last `keep`. */
export const trimPasswordHistory = (db: Db, user_id: string, keep: number) =>
  db.run(sql`
    delete from password_history
     where user_id = ${user_id}
       and entry_id not in (select entry_id
                              from password_history
                             where user_id = ${user_id}
                             order by entry_id desc
                             limit ${keep})`)
