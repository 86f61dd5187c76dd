import { type Db, sql } from '#/lib/sql.ts'

/** True the first time, false ever after until it has expired: one insert decides, however many come at once. */
export const markSeen = async (db: Db, { replay_hash, expires_at }: { replay_hash: Buffer; expires_at: Date }): Promise<boolean> =>
  (await db.run(sql`
    insert into oidc_replays (replay_hash, expires_at)
    values (${replay_hash}, ${expires_at})
    on conflict do nothing`)) === 1

export const purgeReplays = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from oidc_replays
     where replay_hash in (
       select replay_hash
         from oidc_replays
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
