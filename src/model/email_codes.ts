import { type Db, sql } from '#/lib/sql.ts'

export interface EmailCodeToInsert {
  email_code_id: string
  user_id: string
  address: string
  code_hash: Buffer
  expires_at: Date
  attempts_left: number
}

export const insertEmailCode = (db: Db, code: EmailCodeToInsert) =>
  db.run(sql`
    insert into email_codes (email_code_id, user_id, address, code_hash, expires_at, attempts_left)
    values (${code.email_code_id}, ${code.user_id}, ${code.address}, ${code.code_hash}, ${code.expires_at}, ${code.attempts_left})`)

/** Those of a person that are neither over nor used: how many, and when the first of them ends. */
export const countLiveEmailCodes = (db: Db, user_id: string, now: Date) =>
  db.one<{ count: number; first_expires_at: Date | null }>(sql`
    select count(*)::integer as count, min(expires_at) as first_expires_at
      from email_codes
     where user_id = ${user_id}
       and consumed_at is null
       and expires_at > ${now}`)

export interface EmailCodeTry {
  email_code_id: string
  user_id: string
  code_hash: Buffer
  /** The address was confirmed before. */
  mustBeConfirmed: boolean
}

/**
 * One try: true for the one that consumed it. Wrong ones count, and none is left after the last; nothing holds once the address is not the
 * person's any more.
 */
export const tryEmailCode = async (
  db: Db,
  { email_code_id, user_id, code_hash, mustBeConfirmed }: EmailCodeTry,
  now: Date,
): Promise<boolean> => {
  const tried = await db.maybeOne<{ consumed: boolean }>(sql`
    update email_codes c
       set attempts_left = c.attempts_left - 1,
           consumed_at = case when c.code_hash = ${code_hash} then ${now}::timestamptz end
      from users u
     where c.email_code_id = ${email_code_id}
       and c.user_id = ${user_id}
       and c.consumed_at is null
       and c.attempts_left > 0
       and c.expires_at > ${now}
       and u.user_id = c.user_id
       and u.email = c.address
       and (u.email_verified or not ${mustBeConfirmed}::boolean)
    returning c.consumed_at is not null as consumed`)
  return tried?.consumed ?? false
}

export const purgeEmailCodes = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from email_codes
     where email_code_id in (
       select email_code_id
         from email_codes
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
