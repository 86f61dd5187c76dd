import { type Db, sql } from '#/lib/sql.ts'

export interface ApiToken {
  token_id: string
  name: string
  user_id: string | null
  scope: { kinds: string[]; namespaces: string[]; verbs: string[] }
  created_at: Date
  expires_at: Date | null
  last_used_at: Date | null
}

export interface ApiTokenOfOwner extends ApiToken {
  username: string | null
}

export const insertApiToken = (db: Db, token: Omit<ApiToken, 'last_used_at'> & { token_hash: Buffer }): Promise<number> =>
  db.run(sql`
    insert into api_tokens (token_id, token_hash, name, user_id, scope, created_at, expires_at)
    values (${token.token_id}, ${token.token_hash}, ${token.name}, ${token.user_id}, ${JSON.stringify(token.scope)},
            ${token.created_at}, ${token.expires_at})
    on conflict (token_hash) do nothing`)

/** Undefined when unknown, expired, or its owner is not active. */
export const findApiTokenByHash = (db: Db, token_hash: Buffer, now: Date) =>
  db.maybeOne<ApiTokenOfOwner>(sql`
    select t.token_id, t.name, t.user_id, t.scope, t.created_at, t.expires_at, t.last_used_at, u.username
      from api_tokens t
      left join users u on u.user_id = t.user_id
     where t.token_hash = ${token_hash}
       and (t.expires_at is null or t.expires_at > ${now})
       and (t.user_id is null or u.active)`)

/** Written at most once a minute a token, so that reading with one costs no write. */
export const touchApiToken = (db: Db, token_id: string, now: Date) =>
  db.run(sql`
    update api_tokens
       set last_used_at = ${now}
     where token_id = ${token_id}
       and (last_used_at is null or last_used_at < ${new Date(now.getTime() - 60_000)})`)

export const findApiToken = (db: Db, token_id: string) =>
  db.maybeOne<ApiTokenOfOwner>(sql`
    select t.token_id, t.name, t.user_id, t.scope, t.created_at, t.expires_at, t.last_used_at, u.username
      from api_tokens t
      left join users u on u.user_id = t.user_id
     where t.token_id = ${token_id}`)

/** In order of their making; `after` is the token_id of the last one seen. `user_id` null: of everybody. */
export const listApiTokens = (db: Db, { user_id, after, limit }: { user_id: string | null; after: string | null; limit: number }) =>
  db.any<ApiTokenOfOwner>(sql`
    select t.token_id, t.name, t.user_id, t.scope, t.created_at, t.expires_at, t.last_used_at, u.username
      from api_tokens t
      left join users u on u.user_id = t.user_id
     where (${user_id}::uuid is null or t.user_id = ${user_id}::uuid)
       and (${after}::uuid is null or t.token_id > ${after}::uuid)
     order by t.token_id
     limit ${limit}`)

export const deleteApiToken = (db: Db, token_id: string) => db.run(sql`delete from api_tokens where token_id = ${token_id}`)

/** Removes a batch of expired ones and answers how many. */
export const purgeApiTokens = (db: Db, now: Date, batch: number): Promise<number> =>
  db.run(sql`
    delete from api_tokens
     where token_id in (select token_id from api_tokens where expires_at <= ${now} limit ${batch} for update skip locked)`)
