import { type Db, sql } from '#/lib/sql.ts'

export interface FailedSignIns {
  key: Buffer
  failed_at: Date[]
}

export const findFailedSignIns = (db: Db, keys: Buffer[]): Promise<FailedSignIns[]> =>
  db.any(sql`
  select key, failed_at from failed_sign_ins where key = any(${keys})`)

/**
 * One statement, so that failures at the same moment are all counted, and each is told what there were with it. Of each key at most the last
 * `keep` since `since` are kept.
 */
export const addFailedSignIn = (db: Db, { key, keep, since }: { key: Buffer; keep: number; since: Date }, now: Date) =>
  db.one<{ failed_at: Date[] }>(sql`
  insert into failed_sign_ins (key, failed_at, last_failed_at)
  values (${key}, array[${now}::timestamptz], ${now})
  on conflict (key) do update
     set failed_at = (
           select coalesce(array_agg(at order by at), '{}')
             from (select at from unnest(failed_sign_ins.failed_at || excluded.failed_at) as at where at > ${since} order by at desc limit ${keep}) as recent
         ),
         last_failed_at = greatest(failed_sign_ins.last_failed_at, excluded.last_failed_at)
  returning failed_at`)

/** Removes at most `limit` that no longer count; answers how many. */
export const purgeFailedSignIns = (db: Db, limit: number, since: Date): Promise<number> =>
  db.run(sql`
  delete from failed_sign_ins
   where key in (select key from failed_sign_ins where last_failed_at <= ${since} limit ${limit} for update skip locked)`)
