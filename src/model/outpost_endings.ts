/** `outpost_endings`: sessions that ended, by the name that an outpost's client knew them by; written by a trigger on `sessions`. */
import { type Db, sql } from '#/lib/sql.ts'

export interface Ending {
  ending_id: string
  issuer: string
  sid: string
  ended_at: Date
}

/** In the order of their writing, which is not always that of their commits: ask with some of those known before. */
export const listEndings = (db: Db, { after, since, limit }: { after: string; since: Date; limit: number }): Promise<Ending[]> =>
  db.any<Ending>(sql`
    select ending_id, issuer, sid, ended_at
      from outpost_endings
     where ending_id > ${after}
       and ended_at > ${since}
     order by ending_id
     limit ${limit}`)

/**
 * After which to read for whoever has seen `seen`: what was written but not yet committed when they read has a lower number. No transaction is as old
 * as two minutes, so it began no longer than that before the one they saw. Looked for backwards from there, however many there are.
 */
export const findOverlap = async (db: Db, seen: string): Promise<string> =>
  (
    await db.one<{ after: string }>(sql`
      select coalesce((select ending_id
                         from outpost_endings
                        where ending_id <= ${seen}::bigint
                          and ended_at <= (select ended_at from outpost_endings where ending_id <= ${seen}::bigint order by ending_id desc limit 1)
                                          - interval '2 minutes'
                        order by ending_id desc
                        limit 1), 0)::text as after`)
  ).after

/** '0' when there is none. */
export const findLastEnding = async (db: Db): Promise<string> =>
  (await db.one<{ last: string }>(sql`select coalesce(max(ending_id), 0)::text as last from outpost_endings`)).last

export const purgeEndings = (db: Db, until: Date, batch: number): Promise<number> =>
  db.run(sql`
    delete from outpost_endings
     where ending_id in (select ending_id from outpost_endings where ended_at <= ${until} order by ending_id limit ${batch} for update skip locked)`)
