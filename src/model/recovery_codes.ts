import { type Db, sql } from '#/lib/sql.ts'

export const insertRecoveryCodes = (db: Db, authenticator_id: string, code_hashes: Buffer[]) =>
  db.run(sql`
    insert into recovery_codes (authenticator_id, code_hash)
    select ${authenticator_id}::uuid, code_hash
      from unnest(${code_hashes}::bytea[]) as code_hash`)

/** The person's set, for the one that consumed the code; undefined for everyone else, however many try at once. */
export const consumeRecoveryCode = (db: Db, { user_id, code_hash }: { user_id: string; code_hash: Buffer }, now: Date) =>
  db.maybeOne<{ authenticator_id: string }>(sql`
    update recovery_codes c
       set consumed_at = ${now}
      from authenticators a
     where a.authenticator_id = c.authenticator_id
       and a.user_id = ${user_id}
       and c.code_hash = ${code_hash}
       and c.consumed_at is null
    returning c.authenticator_id`)
