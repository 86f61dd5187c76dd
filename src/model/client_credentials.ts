/** `client_credentials`: secrets of clients, encrypted, because they are shown to whoever configures the client. */
import type { Db } from '#/lib/sql.ts'
import { sql } from '#/lib/sql.ts'

export interface ClientCredentialRow {
  credential_id: string
  namespace: string
  name: string
  sealed_secret: Buffer
  created_at: Date
  /** Null: the one in use. A time: replaced, and valid until then. */
  expires_at: Date | null
}

/** Those valid at a time, the one in use first. */
export const listValidCredentials = (db: Db, namespace: string, name: string, now: Date) =>
  db.any<ClientCredentialRow>(sql`
    select credential_id, namespace, name, sealed_secret, created_at, expires_at
      from client_credentials
     where client_kind = 'AuthClient' and namespace = ${namespace} and name = ${name}
       and (expires_at is null or expires_at > ${now})
     order by expires_at is null desc, created_at desc`)

/** Zero when there is one in use already. */
export const insertCredential = (db: Db, credential: Omit<ClientCredentialRow, 'expires_at'>) =>
  db.run(sql`
    insert into client_credentials (credential_id, namespace, name, sealed_secret, created_at)
    values (${credential.credential_id}, ${credential.namespace}, ${credential.name}, ${credential.sealed_secret}, ${credential.created_at})
    on conflict (namespace, name) where expires_at is null do nothing`)

/** The one in use stays valid until a time. */
export const retireCredential = (db: Db, namespace: string, name: string, expires_at: Date) =>
  db.run(sql`
    update client_credentials
       set expires_at = ${expires_at}
     where namespace = ${namespace} and name = ${name} and expires_at is null`)

/** Of the replaced ones only the newest `kept` stay. */
export const deleteOldCredentials = (db: Db, namespace: string, name: string, kept: number) =>
  db.run(sql`
    delete from client_credentials
     where credential_id in (select credential_id
                               from client_credentials
                              where client_kind = 'AuthClient' and namespace = ${namespace} and name = ${name} and expires_at is not null
                              order by created_at desc, credential_id desc
                             offset ${kept})`)

export const hasCredential = async (db: Db, namespace: string, name: string): Promise<boolean> =>
  (await db.maybeOne(sql`
    select from client_credentials where namespace = ${namespace} and name = ${name} and expires_at is null`)) !== undefined

export const deleteCredentials = (db: Db, namespace: string, name: string) =>
  db.run(sql`delete from client_credentials where client_kind = 'AuthClient' and namespace = ${namespace} and name = ${name}`)

/** Deletes at most `limit` that are over; answers how many. */
export const purgeCredentials = (db: Db, now: Date, limit: number) =>
  db.run(sql`
    delete from client_credentials
     where credential_id in (select credential_id from client_credentials where expires_at <= ${now} limit ${limit})`)

/** When the secret in use of each client was made. */
export const listCredentialAges = (db: Db) =>
  db.any<Pick<ClientCredentialRow, 'namespace' | 'name' | 'created_at'>>(sql`
    select namespace, name, created_at from client_credentials where expires_at is null`)
