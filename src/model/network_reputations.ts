import { type Db, lastly, sql } from '#/lib/sql.ts'

export interface ReputationChange {
  key: Buffer
  /** What the score is changed by, after what time has taken from it. */
  by: number
  halfLifeMs: number
  worst: number
}

export const findReputationRow = (db: Db, key: Buffer) =>
  db.maybeOne<{ score: number; updated_at: Date }>(sql`
    select score, updated_at
      from network_reputations
     where key = ${key}`)

/** One statement, so that failures at the same moment all count. `policy/reputation` says the same for one. */
export const raiseReputation = (db: Db, { key, by, halfLifeMs, worst }: ReputationChange, now: Date) =>
  db.run(sql`
    insert into network_reputations as r (key, score, updated_at)
    values (${key}, ${by}, ${now})
    on conflict (key) do update
       set score = least(${worst}::float8, greatest(0, excluded.score + r.score * power(0.5::float8,
             greatest(0, extract(epoch from excluded.updated_at - r.updated_at))::float8 * 1000 / ${halfLifeMs}::float8))),
           updated_at = greatest(r.updated_at, excluded.updated_at)`)

/** The same downwards: of a network that nothing is known of, nothing is written. */
export const lowerReputation = (db: Db, { key, by, halfLifeMs }: Omit<ReputationChange, 'worst'>, now: Date) =>
  lastly(
    db,
    () => sql`
    update network_reputations
       set score = greatest(0, ${by}::float8 + score * power(0.5::float8,
             greatest(0, extract(epoch from ${now}::timestamptz - updated_at))::float8 * 1000 / ${halfLifeMs}::float8)),
           updated_at = greatest(updated_at, ${now})
     where key = ${key}`,
  )

/** Removes a batch of those untouched since, and answers how many. */
export const purgeReputations = (db: Db, since: Date, batch: number): Promise<number> =>
  db.run(sql`
    delete from network_reputations
     where key in (select key from network_reputations where updated_at <= ${since} limit ${batch} for update skip locked)`)
