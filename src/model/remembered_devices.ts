import { type Db, sql } from '#/lib/sql.ts'

export interface RememberedDevice {
  device_id: string
  user_agent: string | null
  created_at: Date
  last_used_at: Date | null
  expires_at: Date
}

export interface DeviceToRemember {
  device_id: string
  token_hash: Buffer
  user_id: string
  issuer: string
  factor: string
  user_agent: string | null
  expires_at: Date
}

export const insertRememberedDevice = (db: Db, device: DeviceToRemember, now: Date) =>
  db.run(sql`
    insert into remembered_devices (device_id, token_hash, user_id, issuer, factor, user_agent, created_at, expires_at)
    values (${device.device_id}, ${device.token_hash}, ${device.user_id}, ${device.issuer}, ${device.factor}, ${device.user_agent}, ${now},
            ${device.expires_at})`)

/** 1 when it is this person's, was remembered after `since`, and by a factor of one of these types. */
export const useRememberedDevice = (
  db: Db,
  {
    token_hash,
    user_id,
    issuer,
    factors,
    since,
  }: Pick<DeviceToRemember, 'token_hash' | 'user_id' | 'issuer'> & { factors: readonly string[]; since: Date },
  now: Date,
) =>
  db.run(sql`
    update remembered_devices
       set last_used_at = ${now}
     where token_hash = ${token_hash}
       and user_id = ${user_id}
       and issuer = ${issuer}
       and factor = any(${[...factors]}::text[])
       and created_at > ${since}
       and expires_at > ${now}`)

/** Newest first. */
export const listRememberedDevices = (db: Db, user_id: string, now: Date) =>
  db.any<RememberedDevice>(sql`
    select device_id, user_agent, created_at, last_used_at, expires_at
      from remembered_devices
     where user_id = ${user_id}
       and expires_at > ${now}
     order by created_at desc, device_id desc`)

/** All but the newest of a person's. */
export const trimRememberedDevices = (db: Db, user_id: string, keep: number) =>
  db.run(sql`
    delete from remembered_devices
     where device_id in (select device_id
                           from remembered_devices
                          where user_id = ${user_id}
                          order by created_at desc, device_id desc
                         offset ${keep})`)

export const deleteRememberedDevice = (db: Db, { user_id, device_id }: { user_id: string; device_id: string }) =>
  db.run(sql`delete from remembered_devices where device_id = ${device_id} and user_id = ${user_id}`)

export const deleteRememberedDevicesOfUser = (db: Db, user_id: string) =>
  db.run(sql`delete from remembered_devices where user_id = ${user_id}`)

/** Removes a batch of expired ones and answers how many. Several purgers share the work. */
export const purgeRememberedDevices = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from remembered_devices
     where device_id in (select device_id from remembered_devices where expires_at <= ${now} limit ${batch} for update skip locked)`)
