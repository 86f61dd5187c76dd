import { type Db, sql } from '#/lib/sql.ts'

export type SigningAlg = 'ES256' | 'RS256' | 'EdDSA'

export interface SigningKeyRow {
  kid: string
  issuer: string
  alg: SigningAlg
  public_jwk: Record<string, unknown>
  sealed_private: Buffer
  created_at: Date
  /** Signs from then until the next one of its alg does. */
  active_from: Date
  /** No longer published from then on; null while it is the newest. */
  expires_at: Date | null
  /** Value of the annotation that asked for it. */
  cause: string | null
}

/** Holds until the transaction ends: whoever makes or rotates keys of an issuer does it alone. */
export const lockSigningKeys = (db: Db, issuer: string) =>
  db.any(sql`select pg_advisory_xact_lock(hashtextextended('signing_keys ' || ${issuer}, 0))`)

export const listSigningKeys = (db: Db, issuer: string, now: Date) =>
  db.any<SigningKeyRow>(sql`
    select kid, issuer, alg, public_jwk, sealed_private, created_at, active_from, expires_at, cause
      from signing_keys
     where issuer = ${issuer}
       and (expires_at is null or expires_at > ${now})
     order by active_from, kid`)

export const insertSigningKey = (db: Db, key: Omit<SigningKeyRow, 'expires_at'>) =>
  db.run(sql`
    insert into signing_keys (kid, issuer, alg, public_jwk, sealed_private, created_at, active_from, cause)
    values (${key.kid}, ${key.issuer}, ${key.alg}, ${JSON.stringify(key.public_jwk)}, ${key.sealed_private}, ${key.created_at}, ${key.active_from},
            ${key.cause})`)

export const retireSigningKey = (db: Db, kid: string, expires_at: Date) =>
  db.run(sql`
    update signing_keys
       set expires_at = ${expires_at}
     where kid = ${kid}
       and expires_at is null`)

/** Every server loads them anew. */
export const announceSigningKeys = (db: Db, issuer: string) => db.any(sql`select pg_notify('signing_keys', ${issuer})`)

export const purgeSigningKeys = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from signing_keys
     where kid in (
       select kid
         from signing_keys
        where expires_at <= ${now}
        order by expires_at
        limit ${batch})`)
