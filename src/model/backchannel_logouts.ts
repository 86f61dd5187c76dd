import { type Db, sql } from '#/lib/sql.ts'

export interface BackchannelLogout {
  backchannel_logout_id: string
  issuer: string
  client_id: string
  user_id: string
  sid: string
  attempts: number
}

/** One notice for a client and session, whoever asks for it. Rows come from the trigger on sessions too. */
export const storeBackchannelLogout = (db: Db, notice: { issuer: string; client_id: string; user_id: string; sid: string }, now: Date) =>
  db.any(sql`
    with stored as (
      insert into backchannel_logouts (issuer, client_id, user_id, sid, next_try_at)
      values (${notice.issuer}, ${notice.client_id}, ${notice.user_id}, ${notice.sid}, ${now})
      on conflict do nothing
      returning true
    )
    select pg_notify('backchannel_logouts', '') from stored`)

/** Takes notices that are due; nobody else gets them before `retry_at`. */
export const takeBackchannelLogouts = (db: Db, { retry_at, batch }: { retry_at: Date; batch: number }, now: Date) =>
  db.any<BackchannelLogout>(sql`
    update backchannel_logouts
       set attempts = attempts + 1,
           next_try_at = ${retry_at}
     where backchannel_logout_id in (
       select backchannel_logout_id
         from backchannel_logouts
        where next_try_at <= ${now}
        order by next_try_at
        limit ${batch}
          for update skip locked)
    returning backchannel_logout_id, issuer, client_id, user_id, sid, attempts`)

export const postponeBackchannelLogout = (db: Db, id: string, next_try_at: Date) =>
  db.run(sql`
    update backchannel_logouts
       set next_try_at = ${next_try_at}
     where backchannel_logout_id = ${id}`)

export const deleteBackchannelLogout = (db: Db, id: string) =>
  db.run(sql`
    delete from backchannel_logouts
     where backchannel_logout_id = ${id}`)
