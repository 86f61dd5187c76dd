import { type Db, sql } from '#/lib/sql.ts'
import type { GrantWithHolder, OwnSession, StoredPayload } from './grants.ts'

export interface RefreshTokenToStore {
  token_hash: Buffer
  grant_id: string
  session_uid: string | null
  payload: StoredPayload
  expires_at: Date
}

export interface FoundRefreshToken extends GrantWithHolder, OwnSession {
  payload: StoredPayload
  expires_at: Date
  consumed_at: Date | null
}

/** The grant lives at least as long as its newest refresh token. */
export const storeRefreshToken = (db: Db, token: RefreshTokenToStore) =>
  db.run(sql`
    with kept as (
      update grants
         set expires_at = ${token.expires_at}
       where grant_id = ${token.grant_id}
         and expires_at < ${token.expires_at}
    )
    insert into refresh_tokens (token_hash, grant_id, session_uid, payload, expires_at)
    values (${token.token_hash}, ${token.grant_id}, ${token.session_uid}, ${JSON.stringify(token.payload)}, ${token.expires_at})`)

export const findRefreshToken = (db: Db, { token_hash, issuer }: { token_hash: Buffer; issuer: string }, now: Date) =>
  db.maybeOne<FoundRefreshToken>(sql`
    select t.payload, t.expires_at, t.consumed_at, h.*, s.payload as session_payload, s.expires_at as session_expires_at
      from refresh_tokens t
      join grant_holders h on h.grant_id = t.grant_id
      left join sessions s on s.uid = t.session_uid and s.expires_at > ${now}
     where t.token_hash = ${token_hash}
       and h.issuer = ${issuer}`)

/** 1 for the one that consumed it, 0 for everyone else, however many try at once. */
export const consumeRefreshToken = (db: Db, token_hash: Buffer, now: Date) =>
  db.run(sql`
    update refresh_tokens
       set consumed_at = ${now}
     where token_hash = ${token_hash}
       and consumed_at is null`)

/**
 * Consumes the old one and stores its successor, both or neither: 1 for the one that did, 0 for everyone who came too late. The grant's row is held
 * first, as whoever ends a grant does: the other way round each would wait for the other.
 */
export const rotateRefreshToken = (db: Db, old_hash: Buffer, token: RefreshTokenToStore, now: Date) =>
  db.run(sql`
    with held as (
      select grant_id
        from grants
       where grant_id = ${token.grant_id}
         for key share
    ), consumed as (
      update refresh_tokens t
         set consumed_at = ${now}
        from held
       where t.token_hash = ${old_hash}
         and t.consumed_at is null
         and t.grant_id = held.grant_id
      returning t.grant_id
    ), kept as (
      update grants
         set expires_at = ${token.expires_at}
       where grant_id in (select grant_id from consumed)
         and expires_at < ${token.expires_at}
    )
    insert into refresh_tokens (token_hash, grant_id, session_uid, payload, expires_at)
    select ${token.token_hash}, grant_id, ${token.session_uid}, ${JSON.stringify(token.payload)}, ${token.expires_at}
      from consumed`)

/** Consumes the code and stores the first refresh token of its grant, both or neither: 1 for the one that did, 0 for everyone else. */
export const redeemCodeForRefreshToken = (db: Db, code_hash: Buffer, token: RefreshTokenToStore, now: Date) =>
  db.run(sql`
    with held as (
      select grant_id
        from grants
       where grant_id = ${token.grant_id}
         for key share
    ), consumed as (
      update authorization_codes c
         set consumed_at = ${now}
        from held
       where c.code_hash = ${code_hash}
         and c.consumed_at is null
         and c.grant_id = held.grant_id
      returning c.grant_id
    ), kept as (
      update grants
         set expires_at = ${token.expires_at}
       where grant_id in (select grant_id from consumed)
         and expires_at < ${token.expires_at}
    )
    insert into refresh_tokens (token_hash, grant_id, session_uid, payload, expires_at)
    select ${token.token_hash}, grant_id, ${token.session_uid}, ${JSON.stringify(token.payload)}, ${token.expires_at}
      from consumed`)

export const revokeRefreshTokensOfGrant = (db: Db, grant_id: string) =>
  db.run(sql`
    delete from refresh_tokens
     where grant_id = ${grant_id}`)

export const purgeRefreshTokens = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from refresh_tokens
     where token_hash in (
       select token_hash
         from refresh_tokens
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)

export interface PlainRotation {
  old_hash: Buffer
  token_hash: Buffer
  issuer: string
  client_id: string
  /** Seconds a family lives from its first token on. */
  familySeconds: number
  /** Seconds since 1970. */
  iat: number
}

/**
 * Consumes a plain refresh token and stores its successor, both or neither, and answers what the old one said. Undefined, and nothing is changed, when it
 * is consumed, expired or another client's, when grant, session or person do not hold, when its family has lived its time, or when it says anything unusual.
 */
export const rotatePlainRefreshToken = (db: Db, rotation: PlainRotation, now: Date) =>
  db.maybeOne<{ payload: StoredPayload; granted_scope: string }>(sql`
    with held as (
      select g.grant_id
        from refresh_tokens t
        join grants g on g.grant_id = t.grant_id
       where t.token_hash = ${rotation.old_hash}
         for key share of g
    ), found as (
      update refresh_tokens t
         set consumed_at = ${now}
        from held, grants g, users u
       where t.token_hash = ${rotation.old_hash}
         and t.grant_id = held.grant_id
         and t.consumed_at is null
         and t.expires_at > ${now}
         and not t.payload ?| array['claims', 'resource', 'rar', 'jkt', 'x5t#S256', 'attestationJkt']
         and (t.payload ->> 'iiat')::bigint + ${rotation.familySeconds}::bigint > ${rotation.iat}::bigint
         and g.grant_id = t.grant_id
         and g.issuer = ${rotation.issuer}
         and g.client_id = ${rotation.client_id}
         and t.payload ->> 'clientId' = g.client_id
         and g.expires_at > ${now}
         and not g.payload ? 'rejected'
         and g.payload #>> '{openid,scope}' <> ''
         and u.user_id = g.user_id
         and u.active
         and t.payload ->> 'accountId' = u.user_id::text
         and (t.payload -> 'expiresWithSession' is distinct from 'true'::jsonb
              or exists (select from sessions s
                          where s.uid = t.session_uid
                            and s.user_id = g.user_id
                            and s.expires_at > ${now}
                            and s.payload -> 'authorizations' -> g.client_id ->> 'grantId' = g.grant_id))
      returning t.payload, t.grant_id, t.session_uid, g.payload #>> '{openid,scope}' as granted_scope,
                (t.payload ->> 'iiat')::bigint + ${rotation.familySeconds}::bigint as exp
    ), kept as (
      update grants
         set expires_at = to_timestamp(found.exp)
        from found
       where grants.grant_id = found.grant_id
         and grants.expires_at < to_timestamp(found.exp)
    ), stored as (
      insert into refresh_tokens (token_hash, grant_id, session_uid, payload, expires_at)
      select ${rotation.token_hash}, grant_id, session_uid,
             payload || jsonb_build_object(
               'iat', ${rotation.iat}::bigint, 'exp', exp, 'rotations', coalesce((payload ->> 'rotations')::bigint, 0) + 1,
               'gty', case when payload ->> 'gty' like '%refresh_token' then payload ->> 'gty' else concat_ws(' ', payload ->> 'gty', 'refresh_token') end),
             to_timestamp(exp)
        from found
    )
    select payload, granted_scope from found`)
