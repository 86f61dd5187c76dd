import { type Db, sql } from '#/lib/sql.ts'

/** What `oidc-provider` keeps of a session, and so do we: times in seconds. The cookie's value (`jti`) is never in it. */
export interface SessionPayload {
  kind?: string
  uid?: string
  accountId?: string
  loginTs?: number
  acr?: string
  amr?: string[]
  authorizations?: Record<string, unknown>
  iat?: number
  exp?: number
  [field: string]: unknown
}

export interface SessionRow {
  uid: string
  user_id: string | null
  issuer: string | null
  payload: SessionPayload
  user_agent: string | null
  network: string | null
  /** Types of second factors that were proven. */
  proven_factors: string[]
  /** A second factor was not asked for, since the device was remembered. */
  factor_spared: boolean
  /** The one network in which it is good (`keyOfNetwork`). Null: any. */
  bound_network: string | null
  created_at: Date
  last_used_at: Date
  expires_at: Date
}

export interface SessionToStore {
  uid: string
  token_hash: Buffer
  user_id: string | null
  issuer: string | null
  payload: SessionPayload
  user_agent: string | null
  network: string | null
  /** Absent: those it has. */
  proven_factors?: string[]
  /** Absent: as it was. */
  factor_spared?: boolean
  /** Absent: as it was. */
  bound_network?: string | null
  /** Of the password that must be the person's still: milliseconds since 1970 when it was set, 0 for none. Absent: any. */
  password_version?: number
  expires_at: Date
}

/**
 * Makes the session or, when its uid is there, gives it this token, payload and end; the token it had is worth nothing from then on. 0 when the password is
 * another one.
 */
export const storeSession = (db: Db, session: SessionToStore, now: Date) =>
  db.run(sql`
    insert into sessions (uid, token_hash, user_id, issuer, payload, user_agent, network, proven_factors, factor_spared, bound_network, created_at,
                          last_used_at, expires_at)
    select ${session.uid}::text, ${session.token_hash}::bytea, ${session.user_id}::uuid, ${session.issuer}::text,
           ${JSON.stringify(session.payload)}::jsonb, ${session.user_agent}::text, ${session.network}::text,
           ${session.proven_factors ?? []}::text[], ${session.factor_spared ?? false}::boolean, ${session.bound_network}::text, ${now}::timestamptz, ${now}::timestamptz,
           ${session.expires_at}::timestamptz
     where ${session.password_version}::bigint is null
        or ${session.password_version}::bigint
           = coalesce((select floor(extract(epoch from changed_at) * 1000) from passwords where user_id = ${session.user_id}::uuid), 0)
    on conflict (uid) do update
       set token_hash = excluded.token_hash,
           user_id = excluded.user_id,
           issuer = coalesce(excluded.issuer, sessions.issuer),
           payload = excluded.payload,
           user_agent = coalesce(excluded.user_agent, sessions.user_agent),
           network = coalesce(excluded.network, sessions.network),
           proven_factors = coalesce(${session.proven_factors}::text[], case when sessions.user_id = excluded.user_id then sessions.proven_factors else '{}' end),
           factor_spared = coalesce(${session.factor_spared}::boolean, sessions.factor_spared),
           bound_network = case when ${session.bound_network !== undefined} then excluded.bound_network else sessions.bound_network end,
           last_used_at = excluded.last_used_at,
           expires_at = excluded.expires_at`)

/** Undefined when unknown or expired, or when its user is not active. */
export const findSessionByTokenHash = (db: Db, token_hash: Buffer, now: Date) =>
  db.maybeOne<SessionRow>(sql`
    select s.uid, s.user_id, s.issuer, s.payload, s.user_agent, s.network, s.proven_factors, s.factor_spared, s.bound_network, s.created_at, s.last_used_at, s.expires_at
      from sessions s
      left join users u on u.user_id = s.user_id
     where s.token_hash = ${token_hash}
       and s.expires_at > ${now}
       and (s.user_id is null or u.active)`)

/** Undefined when unknown or expired, or when its user is not active. */
export const findSessionByUid = (db: Db, uid: string, now: Date) =>
  db.maybeOne<SessionRow>(sql`
    select s.uid, s.user_id, s.issuer, s.payload, s.user_agent, s.network, s.proven_factors, s.factor_spared, s.bound_network, s.created_at, s.last_used_at, s.expires_at
      from sessions s
      left join users u on u.user_id = s.user_id
     where s.uid = ${uid}
       and s.expires_at > ${now}
       and (s.user_id is null or u.active)`)

/** Writes only when the last writing is older than `before`, however many ask at once. */
export const touchSession = (db: Db, uid: string, now: Date, before: Date) =>
  db.run(sql`
    update sessions
       set last_used_at = ${now}
     where uid = ${uid}
       and last_used_at < ${before}`)

/** Live ones of a user, newest first; `after` is the last one seen. */
export const listSessionsOfUser = (
  db: Db,
  { user_id, after, limit }: { user_id: string; after: { created_at: Date; uid: string } | undefined; limit: number },
  now: Date,
) =>
  db.any<SessionRow>(sql`
    select uid, user_id, issuer, payload, user_agent, network, created_at, last_used_at, expires_at
      from sessions
     where user_id = ${user_id}
       and expires_at > ${now}
       and (created_at, uid) < (coalesce(${after?.created_at ?? null}::timestamptz, 'infinity'), ${after?.uid ?? ''})
     order by created_at desc, uid desc
     limit ${limit}`)

/** The ended one, undefined when there was none. */
export const deleteSession = (db: Db, uid: string) =>
  db.maybeOne<{ uid: string; user_id: string | null }>(sql`
    delete from sessions
     where uid = ${uid}
    returning uid, user_id`)

export const deleteSessionByTokenHash = (db: Db, token_hash: Buffer) =>
  db.maybeOne<{ uid: string; user_id: string | null }>(sql`
    delete from sessions
     where token_hash = ${token_hash}
    returning uid, user_id`)

/** All of a user's but `except`. */
export const deleteSessionsOfUser = (db: Db, user_id: string, except: string | null) =>
  db.any<{ uid: string }>(sql`
    delete from sessions
     where user_id = ${user_id}
       and uid is distinct from ${except}
    returning uid`)

/** Removes a batch of expired sessions and answers how many. Several purgers share the work. */
export const purgeSessions = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from sessions
     where uid = any(array(
       select uid
         from sessions
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked))`)

/**
 * Changes a session that was found before; 0 when it was ended in the meantime, since what ended stays ended. Clients that took part are
 * added to those there already, unless `replace`: two windows may be at it at once.
 */
export const updateSession = (
  db: Db,
  session: Pick<SessionToStore, 'uid' | 'token_hash' | 'user_id' | 'payload' | 'expires_at'> & { replace: boolean },
  now: Date,
) =>
  db.run(sql`
    update sessions
       set token_hash = ${session.token_hash},
           user_id = ${session.user_id},
           -- They are the person's.
           proven_factors = case when user_id = ${session.user_id} then proven_factors else '{}' end,
           payload = ${JSON.stringify(session.payload)}::jsonb
                     || case when ${session.replace} or not payload ? 'authorizations' then '{}'::jsonb
                             else jsonb_build_object('authorizations',
                                    payload -> 'authorizations' || coalesce(${JSON.stringify(session.payload)}::jsonb -> 'authorizations', '{}'::jsonb))
                        end,
           last_used_at = ${now},
           expires_at = ${session.expires_at}
     where uid = ${session.uid}`)

/**
 * Notes the grant that a client has in a session, and the name it knows the session by. 0 when the session was ended, or when another request noted one
 * since `seen` was read: of two windows at once one wins.
 */
export const claimAuthorization = (
  db: Db,
  { uid, client_id, seen, grantId, sid }: { uid: string; client_id: string; seen: string | null; grantId: string; sid: string },
) =>
  db.run(sql`
    update sessions
       set payload = jsonb_set(
             case when payload ? 'authorizations' then payload else payload || '{"authorizations": {}}'::jsonb end,
             array['authorizations', ${client_id}::text],
             coalesce(payload -> 'authorizations' -> ${client_id}::text, '{}'::jsonb)
               || jsonb_build_object('grantId', ${grantId}::text, 'sid', ${sid}::text))
     where uid = ${uid}
       and payload -> 'authorizations' -> ${client_id}::text ->> 'grantId' is not distinct from ${seen}`)
