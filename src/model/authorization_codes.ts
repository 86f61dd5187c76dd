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

/** One that can be exchanged as it is: in its time, not consumed, with its grant, session and person. Undefined else. */
export const findPlainAuthorizationCode = (
  db: Db,
  { code_hash, issuer, client_id }: { code_hash: Buffer; issuer: string; client_id: string },
  now: Date,
) =>
  db.maybeOne<{ payload: StoredPayload; user_id: string; granted_scope: string | null }>(sql`
    select t.payload, g.user_id, case when g.payload ? 'rejected' then null else g.payload #>> '{openid,scope}' end as granted_scope
      from authorization_codes t
      join grants g on g.grant_id = t.grant_id
      join users u on u.user_id = g.user_id
     where t.code_hash = ${code_hash}
       and t.expires_at > ${now}
       and t.consumed_at is null
       and g.issuer = ${issuer}
       and g.client_id = ${client_id}
       and g.expires_at > ${now}
       and u.active
       and (t.payload -> 'expiresWithSession' is distinct from 'true'::jsonb
            or exists (select from sessions s
                        where s.uid = t.session_uid
                          and s.user_id = g.user_id
                          and s.expires_at > ${now}
                          and s.payload -> 'authorizations' -> g.client_id ->> 'grantId' = g.grant_id))`)
