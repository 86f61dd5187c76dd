import { type Db, sql } from '#/lib/sql.ts'
import type { StoredPayload } from './grants.ts'

export interface DeviceCodeToStore {
  code_hash: Buffer
  /** Undefined: as it was when the code was made. */
  user_code_hash: Buffer | undefined
  sealed_code: Buffer
  issuer: string
  grant_id: string | null
  session_uid: string | null
  payload: StoredPayload
  expires_at: Date
}

export interface FoundDeviceCode {
  sealed_code: Buffer
  payload: StoredPayload
  expires_at: Date
  consumed_at: Date | null
}

export const storeDeviceCode = (db: Db, code: DeviceCodeToStore & { user_code_hash: Buffer }) =>
  db.run(sql`
    insert into device_codes (code_hash, user_code_hash, sealed_code, issuer, grant_id, session_uid, payload, expires_at)
    values (${code.code_hash}, ${code.user_code_hash}, ${code.sealed_code}, ${code.issuer}, ${code.grant_id}, ${code.session_uid},
            ${JSON.stringify(code.payload)}, ${code.expires_at})`)

/** What a person decided on it. Only while nothing was decided and nothing consumed: the first decision stands. */
export const updateDeviceCode = (db: Db, code: DeviceCodeToStore) =>
  db.run(sql`
    update device_codes
       set grant_id = ${code.grant_id},
           session_uid = ${code.session_uid},
           payload = ${JSON.stringify(code.payload)}
     where code_hash = ${code.code_hash}
       and consumed_at is null
       and not (payload ? 'accountId')
       and not (payload ? 'error')`)

export const findDeviceCode = (db: Db, { code_hash, issuer }: { code_hash: Buffer; issuer: string }) =>
  db.maybeOne<FoundDeviceCode>(sql`
    select sealed_code, payload, expires_at, consumed_at
      from device_codes
     where code_hash = ${code_hash}
       and issuer = ${issuer}`)

export const findDeviceCodeByUserCode = (db: Db, { user_code_hash, issuer }: { user_code_hash: Buffer; issuer: string }) =>
  db.maybeOne<FoundDeviceCode>(sql`
    select sealed_code, payload, expires_at, consumed_at
      from device_codes
     where user_code_hash = ${user_code_hash}
       and issuer = ${issuer}`)

/** Notes that a device asked while nothing was decided; answers when it last did, null for the first time, undefined when there is nothing to wait for. */
export const pollDeviceCode = (db: Db, { code_hash, issuer }: { code_hash: Buffer; issuer: string }, now: Date) =>
  db.maybeOne<{ polled_at: Date | null }>(sql`
    update device_codes d
       set polled_at = ${now}
      from (
        select code_hash, polled_at
          from device_codes
         where code_hash = ${code_hash}
           and issuer = ${issuer}
           for update
      ) before
     where d.code_hash = before.code_hash
       and d.expires_at > ${now}
       and d.consumed_at is null
       and not (d.payload ? 'accountId')
       and not (d.payload ? 'error')
    returning before.polled_at`)

/** 1 for the one that consumed it, 0 for everyone else, however many try at once. */
export const consumeDeviceCode = (db: Db, code_hash: Buffer, now: Date) =>
  db.run(sql`
    update device_codes
       set consumed_at = ${now}
     where code_hash = ${code_hash}
       and consumed_at is null`)

export const deleteDeviceCode = (db: Db, code_hash: Buffer) =>
  db.run(sql`
    delete from device_codes
     where code_hash = ${code_hash}`)

export const purgeDeviceCodes = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from device_codes
     where code_hash in (
       select code_hash
         from device_codes
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
