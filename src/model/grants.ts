import { type Db, sql } from '#/lib/sql.ts'

/** What is kept under `oidc-provider`'s own names, without identifiers that are secret. */
export type StoredPayload = Record<string, unknown>

/** The living person of a grant, as the view `grant_holders` shows them with it. */
export interface Holder {
  user_id: string
  username: string
  email: string | null
  email_verified: boolean
  name: string | null
  locale: string | null
  attributes: Record<string, unknown>
  labels: Record<string, string>
  updated_at: Date
}

export interface GrantWithHolder extends Holder {
  grant_id: string
  issuer: string
  grant_payload: StoredPayload
  grant_expires_at: Date
}

/** The session that a token lives in, if it still does. */
export interface OwnSession {
  session_payload: StoredPayload | null
  session_expires_at: Date | null
}

/** What a client is to whoever granted it something. */
export interface ClientIdentity {
  issuer: string
  client_id: string
}

export interface GrantToStore {
  grant_id: string
  user_id: string
  issuer: string
  client_id: string
  parent_grant_id: string | null
  payload: StoredPayload
  expires_at: Date
}

export const storeGrant = (db: Db, grant: GrantToStore, now: Date) =>
  db.run(sql`
    insert into grants (grant_id, user_id, issuer, client_id, parent_grant_id, payload, created_at, expires_at)
    values (${grant.grant_id}, ${grant.user_id}, ${grant.issuer}, ${grant.client_id}, ${grant.parent_grant_id}, ${JSON.stringify(grant.payload)},
            ${now}, ${grant.expires_at})
    on conflict (grant_id) do update
       set payload = excluded.payload,
           expires_at = greatest(grants.expires_at, excluded.expires_at)
     where grants.user_id = excluded.user_id
       and grants.issuer = excluded.issuer
       and grants.client_id = excluded.client_id`)

/** 0 when it was revoked meanwhile: what ended must not come back. */
export const extendGrant = (
  db: Db,
  grant: Pick<GrantToStore, 'grant_id' | 'issuer' | 'client_id' | 'user_id' | 'payload' | 'expires_at'>,
) =>
  db.run(sql`
    update grants
       set payload = ${JSON.stringify(grant.payload)},
           expires_at = greatest(expires_at, ${grant.expires_at})
     where grant_id = ${grant.grant_id}
       and user_id = ${grant.user_id}
       and issuer = ${grant.issuer}
       and client_id = ${grant.client_id}`)

/** Undefined when it was revoked or its person is gone or not active. */
export const findGrant = (db: Db, { grant_id, issuer }: { grant_id: string; issuer: string }) =>
  db.maybeOne<GrantWithHolder>(sql`
    select h.*
      from grant_holders h
     where h.grant_id = ${grant_id}
       and h.issuer = ${issuer}`)

/** What a JWT says of itself is believed for its signature; that it still holds, this one statement tells. */
export const findGrantOfToken = (
  db: Db,
  token: { grant_id: string; session_uid: string | null; jti_hash: Buffer; issuer: string },
  now: Date,
) =>
  db.maybeOne<GrantWithHolder & OwnSession>(sql`
    select h.*, s.payload as session_payload, s.expires_at as session_expires_at
      from grant_holders h
      left join sessions s on s.uid = ${token.session_uid} and s.expires_at > ${now}
     where h.grant_id = ${token.grant_id}
       and h.issuer = ${token.issuer}
       and not exists (select from revoked_tokens r where r.jti_hash = ${token.jti_hash})`)

/** Until the transaction ends nobody ends it; whoever is about to write what stands under it begins with this. */
export const holdGrant = (db: Db, grant_id: string) =>
  db.maybeOne<{ grant_id: string }>(sql`
    select grant_id
      from grants
     where grant_id = ${grant_id}
       for key share`)

/** Ends everything that was issued under it. */
export const revokeGrant = (db: Db, grant_id: string) =>
  db.maybeOne<{ user_id: string; client_id: string }>(sql`
    delete from grants
     where grant_id = ${grant_id}
    returning user_id, client_id`)

/** At most `batch` that were made until a time; answers how many. */
export const revokeGrantsOfClient = (db: Db, { issuer, client_id }: ClientIdentity, until: Date, batch: number) =>
  db.run(sql`
    delete from grants
     where grant_id in (
       select grant_id
         from grants
        where issuer = ${issuer}
          and client_id = ${client_id}
          and created_at <= ${until}
        limit ${batch})`)

export const purgeGrants = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from grants
     where grant_id in (
       select grant_id
         from grants
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)

/** A browser's session with its living person, and the grant that a client has in it: all that an authorization request asks for. */
export const findSessionWithGrant = (
  db: Db,
  { token_hash, issuer, client_id }: { token_hash: Buffer; issuer: string; client_id: string | null },
  now: Date,
) =>
  db.maybeOne<FoundSession>(sql`
    select s.uid, s.payload, s.proven_factors, s.bound_network, s.expires_at, s.last_used_at, s.user_id as session_user_id,
           u.user_id, u.username, u.email, u.email_verified, u.name, u.locale, u.attributes, u.labels, u.updated_at,
           g.grant_id, g.issuer, g.payload as grant_payload, g.expires_at as grant_expires_at
      from sessions s
      left join users u on u.user_id = s.user_id and u.active
      left join grants g on g.grant_id = s.payload -> 'authorizations' -> ${client_id}::text ->> 'grantId'
                        and g.user_id = s.user_id
                        and g.issuer = ${issuer}
     where s.token_hash = ${token_hash}
       and s.issuer = ${issuer}
       and s.expires_at > ${now}
       and (s.user_id is null or u.user_id is not null)`)

export type FoundSession = {
  uid: string
  payload: StoredPayload
  proven_factors: string[]
  bound_network: string | null
  expires_at: Date
  last_used_at: Date
  session_user_id: string | null
} & { [K in keyof GrantWithHolder]: GrantWithHolder[K] | null }

/** A living person, as they would stand with a grant. */
export const findHolder = (db: Db, user_id: string) =>
  db.maybeOne<Holder>(sql`
    select user_id, username, email, email_verified, name, locale, attributes, labels, updated_at
      from users
     where user_id = ${user_id}
       and active`)

/** What a JWT access token says it belongs to. */
export interface TokenBelongings {
  grant_id: string
  client_id: string
  /** Null: it does not end with a session. */
  session_uid: string | null
  jti_hash: Buffer
  issuer: string
}

/** Whose token it is, while token, grant, session and person all hold; undefined else. */
export const findHolderOfToken = (db: Db, token: TokenBelongings, now: Date) =>
  db.maybeOne<{ user_id: string }>(sql`
    select g.user_id
      from grants g
      join users u on u.user_id = g.user_id
     where g.grant_id = ${token.grant_id}
       and g.issuer = ${token.issuer}
       and g.client_id = ${token.client_id}
       and g.expires_at > ${now}
       and u.active
       and not exists (select from revoked_tokens r where r.jti_hash = ${token.jti_hash})
       and (${token.session_uid}::text is null
            or exists (select from sessions s
                        where s.uid = ${token.session_uid}
                          and s.user_id = g.user_id
                          and s.expires_at > ${now}
                          and s.payload -> 'authorizations' -> g.client_id ->> 'grantId' = g.grant_id))`)

/** The same with all that claims are made of, and the scopes granted unless something was rejected. */
export const findPersonOfToken = (db: Db, token: TokenBelongings, now: Date) =>
  db.maybeOne<Holder & { granted_scope: string | null }>(sql`
    select u.user_id, u.username, u.email, u.email_verified, u.name, u.locale, u.attributes, u.labels, u.updated_at,
           case when g.payload ? 'rejected' then null else g.payload #>> '{openid,scope}' end as granted_scope
      from grants g
      join users u on u.user_id = g.user_id
     where g.grant_id = ${token.grant_id}
       and g.issuer = ${token.issuer}
       and g.client_id = ${token.client_id}
       and g.expires_at > ${now}
       and u.active
       and not exists (select from revoked_tokens r where r.jti_hash = ${token.jti_hash})
       and (${token.session_uid}::text is null
            or exists (select from sessions s
                        where s.uid = ${token.session_uid}
                          and s.user_id = g.user_id
                          and s.expires_at > ${now}
                          and s.payload -> 'authorizations' -> g.client_id ->> 'grantId' = g.grant_id))`)

/** Whether someone has signed in through one of these clients, which are given by issuer and client_id, and that has not ended. */
export const hasGrantOfClients = async (
  db: Db,
  { user_id, issuers, client_ids }: { user_id: string; issuers: readonly string[]; client_ids: readonly string[] },
  now: Date,
): Promise<boolean> =>
  (await db.maybeOne(sql`
    select
      from grants g
      join unnest(${issuers}::text[], ${client_ids}::text[]) as c (issuer, client_id) on c.issuer = g.issuer and c.client_id = g.client_id
     where g.user_id = ${user_id}
       and g.expires_at > ${now}
     limit 1`)) !== undefined
