import { type Db, sql } from '#/lib/sql.ts'
import type { StoredPayload } from './grants.ts'

export interface PushedRequestToStore {
  request_hash: Buffer
  issuer: string
  payload: StoredPayload
  expires_at: Date
}

export const storePushedRequest = (db: Db, request: PushedRequestToStore) =>
  db.run(sql`
    insert into pushed_authorization_requests (request_hash, issuer, payload, expires_at)
    values (${request.request_hash}, ${request.issuer}, ${JSON.stringify(request.payload)}, ${request.expires_at})`)

export const findPushedRequest = (db: Db, { request_hash, issuer }: { request_hash: Buffer; issuer: string }) =>
  db.maybeOne<{ payload: StoredPayload; expires_at: Date; consumed_at: Date | null }>(sql`
    select payload, expires_at, consumed_at
      from pushed_authorization_requests
     where request_hash = ${request_hash}
       and issuer = ${issuer}`)

/** 1 for the one that consumed it, 0 for everyone else, however many try at once. */
export const consumePushedRequest = (db: Db, request_hash: Buffer, now: Date) =>
  db.run(sql`
    update pushed_authorization_requests
       set consumed_at = ${now}
     where request_hash = ${request_hash}
       and consumed_at is null`)

/** An interaction may outlast the 60 s of a request and then still ask whether it was used, so they stay an hour longer. */
export const purgePushedRequests = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from pushed_authorization_requests
     where request_hash in (
       select request_hash
         from pushed_authorization_requests
        where expires_at <= ${new Date(now.getTime() - 3_600_000)}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
