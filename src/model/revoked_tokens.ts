import { type Db, sql } from '#/lib/sql.ts'

/** JWT access tokens that were revoked before their time, by the SHA-256 of their `jti`. */
export const storeRevokedToken = (db: Db, { jti_hash, expires_at }: { jti_hash: Buffer; expires_at: Date }) =>
  db.run(sql`
    insert into revoked_tokens (jti_hash, expires_at)
    values (${jti_hash}, ${expires_at})
    on conflict do nothing`)

export const isTokenRevoked = async (db: Db, jti_hash: Buffer): Promise<boolean> =>
  (await db.maybeOne(sql`select true as revoked from revoked_tokens where jti_hash = ${jti_hash}`)) !== undefined

export const purgeRevokedTokens = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from revoked_tokens
     where jti_hash in (
       select jti_hash
         from revoked_tokens
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
