import { type Db, sql } from '#/lib/sql.ts'
import type { StoredPayload } from './grants.ts'

export const storeRegistrationAccessToken = (db: Db, token: { token_hash: Buffer; client_id: string; payload: StoredPayload }) =>
  db.run(sql`
    insert into registration_access_tokens (token_hash, client_id, payload)
    values (${token.token_hash}, ${token.client_id}, ${JSON.stringify(token.payload)})`)

export const findRegistrationAccessToken = (db: Db, { token_hash, issuer }: { token_hash: Buffer; issuer: string }) =>
  db.maybeOne<{ payload: StoredPayload }>(sql`
    select t.payload
      from registration_access_tokens t
      join registered_clients c on c.client_id = t.client_id
     where t.token_hash = ${token_hash}
       and c.issuer = ${issuer}`)

export const deleteRegistrationAccessToken = (db: Db, token_hash: Buffer) =>
  db.run(sql`
    delete from registration_access_tokens
     where token_hash = ${token_hash}`)
