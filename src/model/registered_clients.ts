import { type Db, sql } from '#/lib/sql.ts'

export interface RegisteredClient {
  client_id: string
  issuer: string
  /** Registered names (RFC 7591), without the secret. */
  metadata: Record<string, unknown>
  sealed_secret: Buffer | null
}

export interface RegisteredClientRow extends RegisteredClient {
  last_used_at: Date | null
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
  db.maybeOne<RegisteredClientRow>(sql`
    select client_id, issuer, metadata, sealed_secret, last_used_at
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

export const useRegisteredClient = (db: Db, client_id: string, now: Date) =>
  db.run(sql`
    update registered_clients
       set last_used_at = ${now}
     where client_id = ${client_id}`)

/** No further than `most`. */
export const countRegisteredClients = async (db: Db, issuer: string, most: number): Promise<number> =>
  (
    await db.one<{ count: number }>(sql`
      select count(*)::int as count
        from (select from registered_clients where issuer = ${issuer} limit ${most}) as counted`)
  ).count

/** Those never used since a time, and those not used since another, with what was granted to them; answers how many. */
export const purgeRegisteredClients = async (
  db: Db,
  { neverSince, notSince }: { neverSince: Date; notSince: Date },
  batch: number,
): Promise<number> =>
  (
    await db.one<{ purged: number }>(sql`
      with purged as (
        delete from registered_clients
         where client_id in (
           select client_id
             from registered_clients
            where (last_used_at is null and created_at <= ${neverSince})
               or last_used_at <= ${notSince}
            limit ${batch})
        returning client_id, issuer
      ), ended as (
        delete from grants g using purged p where g.client_id = p.client_id and g.issuer = p.issuer
      ), forgotten as (
        delete from consents c using purged p where c.client_id = p.client_id and c.issuer = p.issuer
      )
      select count(*)::int as purged from purged`)
  ).purged
