import { type Db, sql } from '#/lib/sql.ts'
import type { GrantWithHolder, OwnSession, StoredPayload } from './grants.ts'

export interface CodeToStore {
  code_hash: Buffer
  grant_id: string
  session_uid: string | null
  payload: StoredPayload
  expires_at: Date
}

export interface FoundCode extends GrantWithHolder, OwnSession {
  payload: StoredPayload
  expires_at: Date
  consumed_at: Date | null
}

export const storeAuthorizationCode = (db: Db, code: CodeToStore) =>
  db.run(sql`
    insert into authorization_codes (code_hash, grant_id, session_uid, payload, expires_at)
    values (${code.code_hash}, ${code.grant_id}, ${code.session_uid}, ${JSON.stringify(code.payload)}, ${code.expires_at})`)

export const findAuthorizationCode = (db: Db, { code_hash, issuer }: { code_hash: Buffer; issuer: string }, now: Date) =>
  db.maybeOne<FoundCode>(sql`
    select c.payload, c.expires_at, c.consumed_at, h.*, s.payload as session_payload, s.expires_at as session_expires_at
      from authorization_codes c
      join grant_holders h on h.grant_id = c.grant_id
      left join sessions s on s.uid = c.session_uid and s.expires_at > ${now}
     where c.code_hash = ${code_hash}
       and h.issuer = ${issuer}`)

/** 1 for the one that consumed it, 0 for everyone else, however many try at once. */
export const consumeAuthorizationCode = (db: Db, code_hash: Buffer, now: Date) =>
  db.run(sql`
    update authorization_codes
       set consumed_at = ${now}
     where code_hash = ${code_hash}
       and consumed_at is null`)

export const revokeAuthorizationCodesOfGrant = (db: Db, grant_id: string) =>
  db.run(sql`
    delete from authorization_codes
     where grant_id = ${grant_id}`)

export const purgeAuthorizationCodes = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from authorization_codes
     where code_hash in (
       select code_hash
         from authorization_codes
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)

export interface CodeForSession {
  code_hash: Buffer
  issuer: string
  client_id: string
  /** SHA-256 of the session's cookie. */
  token_hash: Buffer
  /** Where the browser is (`keyOfNetwork`). */
  network_key: string
  /** All of which must have been granted before. */
  scopes: readonly string[]
  /** Whether the code carries the session's sid for the client. */
  includeSid: boolean
  /** What the code says beside person, session and grant. */
  payload: StoredPayload
  expires_at: Date
  /** A session last used before then is not taken: someone has to note its use. */
  usedSince: Date
}

/**
 * A code for whoever sits at that session, out of the grant that the client has in it: 1, or 0 when session, person, grant or a scope
 * is not there or anything about them is unusual.
 */
export const storeCodeForSession = (db: Db, code: CodeForSession, now: Date) =>
  db.run(sql`
    insert into authorization_codes (code_hash, grant_id, session_uid, payload, expires_at)
    select ${code.code_hash}, g.grant_id, s.uid,
           ${JSON.stringify(code.payload)}::jsonb || jsonb_strip_nulls(jsonb_build_object(
             'accountId', s.user_id, 'acr', s.payload -> 'acr', 'amr', s.payload -> 'amr', 'authTime', s.payload -> 'loginTs',
             'grantId', g.grant_id, 'sessionUid', s.uid,
             'sid', case when ${code.includeSid} then s.payload -> 'authorizations' -> ${code.client_id}::text -> 'sid' end)),
           ${code.expires_at}
      from sessions s
      join users u on u.user_id = s.user_id
      join grants g on g.grant_id = s.payload -> 'authorizations' -> ${code.client_id}::text ->> 'grantId'
     where s.token_hash = ${code.token_hash}
       and s.issuer = ${code.issuer}
       and (s.bound_network is null or s.bound_network = ${code.network_key})
       and s.expires_at > ${now}
       and s.last_used_at >= ${code.usedSince}
       and s.payload ->> 'accountId' = s.user_id::text
       and not s.payload ? 'state'
       and s.payload -> 'authorizations' -> ${code.client_id}::text ->> 'sid' is not null
       and u.active
       and g.user_id = s.user_id
       and g.issuer = ${code.issuer}
       and g.client_id = ${code.client_id}
       and g.expires_at > ${now}
       and not g.payload ? 'rejected'
       and string_to_array(g.payload #>> '{openid,scope}', ' ') @> ${code.scopes}::text[]`)

export interface PlainCode {
  code_hash: Buffer
  issuer: string
  client_id: string
  redirect_uri: string
  /** Of the verifier that came, S256. */
  code_challenge: string
}

export interface NewRefreshToken {
  token_hash: Buffer
  expires_at: Date
  /** What it says beside what the code said. */
  payload: StoredPayload
}

/**
 * Consumes a plain code and stores the first refresh token of its grant where one is wanted, both or neither, and answers what the code said.
 * Undefined, and nothing is changed, when it is consumed, expired, another client's or for another address or verifier, when grant, session or
 * person do not hold, or when the code says anything unusual. The grant's row is held first: whoever ends a grant takes it first too.
 */
export const redeemPlainCode = (db: Db, code: PlainCode, refresh: NewRefreshToken | undefined, now: Date) =>
  db.maybeOne<{ payload: StoredPayload; granted_scope: string }>(sql`
    with held as (
      select g.grant_id
        from authorization_codes c
        join grants g on g.grant_id = c.grant_id
       where c.code_hash = ${code.code_hash}
         for key share of g
    ), found as (
      update authorization_codes c
         set consumed_at = ${now}
        from held, grants g, users u
       where c.code_hash = ${code.code_hash}
         and c.grant_id = held.grant_id
         and c.consumed_at is null
         and c.expires_at > ${now}
         and c.payload ->> 'redirectUri' = ${code.redirect_uri}
         and c.payload ->> 'codeChallengeMethod' = 'S256'
         and c.payload ->> 'codeChallenge' = ${code.code_challenge}
         and not c.payload ?| array['claims', 'resource', 'rar', 'dpopJkt', 'attestationJkt']
         and g.grant_id = c.grant_id
         and g.issuer = ${code.issuer}
         and g.client_id = ${code.client_id}
         and c.payload ->> 'clientId' = g.client_id
         and g.expires_at > ${now}
         and not g.payload ? 'rejected'
         and g.payload #>> '{openid,scope}' <> ''
         and u.user_id = g.user_id
         and u.active
         and c.payload ->> 'accountId' = u.user_id::text
         and (c.payload -> 'expiresWithSession' is distinct from 'true'::jsonb
              or exists (select from sessions s
                          where s.uid = c.session_uid
                            and s.user_id = g.user_id
                            and s.expires_at > ${now}
                            and s.payload -> 'authorizations' -> g.client_id ->> 'grantId' = g.grant_id))
      returning c.payload, c.grant_id, c.session_uid, g.payload #>> '{openid,scope}' as granted_scope
    ), kept as (
      update grants
         set expires_at = ${refresh?.expires_at ?? null}
       where grant_id in (select grant_id from found)
         and expires_at < ${refresh?.expires_at ?? null}
    ), stored as (
      insert into refresh_tokens (token_hash, grant_id, session_uid, payload, expires_at)
      select ${refresh?.token_hash ?? null}, grant_id,
             case when payload -> 'expiresWithSession' = 'true'::jsonb then session_uid end,
             (payload - array['redirectUri', 'codeChallenge', 'codeChallengeMethod']) || ${JSON.stringify(refresh?.payload ?? {})}::jsonb,
             ${refresh?.expires_at ?? null}
        from found
       where ${refresh !== undefined}
    )
    select payload, granted_scope from found`)
