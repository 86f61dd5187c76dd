import { type Db, sql } from '#/lib/sql.ts'
import type { GrantWithHolder, OwnSession, StoredPayload } from './grants.ts'

/** Opaque access tokens; a JWT is not stored. */
export interface AccessTokenToStore {
  token_hash: Buffer
  kind: 'AccessToken' | 'ClientCredentials'
  issuer: string
  grant_id: string | null
  session_uid: string | null
  payload: StoredPayload
  expires_at: Date
}

type Nullable<T> = { [K in keyof T]: T[K] | null }

export interface FoundAccessToken extends Nullable<GrantWithHolder>, OwnSession {
  payload: StoredPayload
  expires_at: Date
}

export const storeAccessToken = (db: Db, token: AccessTokenToStore) =>
  db.run(sql`
    insert into access_tokens (token_hash, kind, issuer, grant_id, session_uid, payload, expires_at)
    values (${token.token_hash}, ${token.kind}, ${token.issuer}, ${token.grant_id}, ${token.session_uid}, ${JSON.stringify(token.payload)},
            ${token.expires_at})`)

export const findAccessToken = (
  db: Db,
  { token_hash, kind, issuer }: { token_hash: Buffer; kind: AccessTokenToStore['kind']; issuer: string },
  now: Date,
) =>
  db.maybeOne<FoundAccessToken>(sql`
    select t.payload, t.expires_at, h.*, s.payload as session_payload, s.expires_at as session_expires_at
      from access_tokens t
      left join grant_holders h on h.grant_id = t.grant_id
      left join sessions s on s.uid = t.session_uid and s.expires_at > ${now}
     where t.token_hash = ${token_hash}
       and t.kind = ${kind}
       and t.issuer = ${issuer}
       and (t.grant_id is null or h.grant_id is not null)`)

export const deleteAccessToken = (db: Db, token_hash: Buffer) =>
  db.run(sql`
    delete from access_tokens
     where token_hash = ${token_hash}`)

export const revokeAccessTokensOfGrant = (db: Db, grant_id: string) =>
  db.run(sql`
    delete from access_tokens
     where grant_id = ${grant_id}`)

export const purgeAccessTokens = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from access_tokens
     where token_hash in (
       select token_hash
         from access_tokens
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
