import { type Db, sql } from '#/lib/sql.ts'

export interface RegisteredClient {
  client_id: string
  issuer: string
  /** Registered names (RFC 7591), without the secret. */
  metadata: Record<string, unknown>
  sealed_secret: Buffer | null
}

export const storeRegisteredClient = (db: Db, client: RegisteredClient, now: Date) =>
  db.run(sql`
    insert into registered_clients (client_id, issuer, metadata, sealed_secret, created_at, updated_at)
    values (${client.client_id}, ${client.issuer}, ${JSON.stringify(client.metadata)}, ${client.sealed_secret}, ${now}, ${now})
    on conflict (client_id) do update
       set metadata = excluded.metadata,
           sealed_secret = excluded.sealed_secret,
           updated_at = excluded.updated_at
     where registered_clients.issuer = excluded.issuer`)

export const findRegisteredClient = (db: Db, { client_id, issuer }: { client_id: string; issuer: string }) =>
  db.maybeOne<RegisteredClient>(sql`
    select client_id, issuer, metadata, sealed_secret
      from registered_clients
     where client_id = ${client_id}
       and issuer = ${issuer}`)

/** Ends its grants, and with them its tokens, too. */
export const deleteRegisteredClient = (db: Db, { client_id, issuer }: { client_id: string; issuer: string }) =>
  db.run(sql`
    with ended as (
      delete from grants
       where client_id = ${client_id}
         and issuer = ${issuer}
    ), forgotten as (
      delete from consents
       where client_id = ${client_id}
         and issuer = ${issuer}
    )
    delete from registered_clients
     where client_id = ${client_id}
       and issuer = ${issuer}`)
