import { type Db, sql } from '#/lib/sql.ts'

export interface SeenDevice {
  username: string
  name: string | null
  email: string
  locale: string | null
  is_new: boolean
  /** There were others before. */
  has_others: boolean
}

/** Notes it, at most once after `before`. Undefined for who has no confirmed address: nothing is noted of them. */
export const seeDevice = (db: Db, { user_id, device_hash, before }: { user_id: string; device_hash: Buffer; before: Date }, now: Date) =>
  db.maybeOne<SeenDevice>(sql`
    with person as (
      select user_id, username, name, email, locale
        from users
       where user_id = ${user_id}
         and email_verified
         and email is not null
    ), seen as (
      insert into known_devices (user_id, device_hash, first_seen_at, last_seen_at)
      select user_id, ${device_hash}::bytea, ${now}::timestamptz, ${now}::timestamptz
        from person
          on conflict (user_id, device_hash) do update
         set last_seen_at = excluded.last_seen_at
       where known_devices.last_seen_at < ${before}
      returning first_seen_at
    )
    select username, name, email, locale,
           -- One that is there already is seen by this statement, whether it is noted or not.
           not exists (select from known_devices k where k.user_id = person.user_id and k.device_hash = ${device_hash}::bytea)
             and exists (select from seen) as is_new,
           exists (select from known_devices k where k.user_id = person.user_id) as has_others
      from person`)

/** All but those of a person that were seen last. */
export const trimKnownDevices = (db: Db, user_id: string, keep: number) =>
  db.run(sql`
    delete from known_devices
     where user_id = ${user_id}
       and device_hash in (select device_hash
                             from known_devices
                            where user_id = ${user_id}
                            order by last_seen_at desc, device_hash
                           offset ${keep})`)

/** Removes a batch that was not seen since, and answers how many. Several purgers share the work. */
export const purgeKnownDevices = (db: Db, before: Date, batch: number) =>
  db.run(sql`
    delete from known_devices
     where (user_id, device_hash) in (select user_id, device_hash
                                        from known_devices
                                       where last_seen_at < ${before}
                                       limit ${batch}
                                         for update skip locked)`)
