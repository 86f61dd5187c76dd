import { type Db, sql } from '#/lib/sql.ts'

export interface EmailChange {
  user_id: string
  email_change_id: string
  new_email: string
  old_email: string | null
  new_code_hash: Buffer
  /** Null: the old address need not agree. */
  old_code_hash: Buffer | null
  new_confirmed_at: Date | null
  old_confirmed_at: Date | null
  attempts_left: number
  expires_at: Date
}

/** In place of the one that the person had. */
export const storeEmailChange = (db: Db, change: Omit<EmailChange, 'new_confirmed_at' | 'old_confirmed_at'>, now: Date) =>
  db.run(sql`
    insert into email_changes (user_id, email_change_id, new_email, old_email, new_code_hash, old_code_hash, attempts_left, created_at, expires_at)
    values (${change.user_id}, ${change.email_change_id}, ${change.new_email}, ${change.old_email}, ${change.new_code_hash},
            ${change.old_code_hash}, ${change.attempts_left}, ${now}, ${change.expires_at})
    on conflict (user_id) do update
       set email_change_id = excluded.email_change_id,
           new_email = excluded.new_email,
           old_email = excluded.old_email,
           new_code_hash = excluded.new_code_hash,
           old_code_hash = excluded.old_code_hash,
           new_confirmed_at = null,
           old_confirmed_at = null,
           attempts_left = excluded.attempts_left,
           created_at = excluded.created_at,
           expires_at = excluded.expires_at`)

/** The one that waits. None holds once the person's address is not what it was, or has been confirmed meanwhile. */
export const findEmailChange = (db: Db, user_id: string, now: Date) =>
  db.maybeOne<EmailChange>(sql`
    select c.user_id, c.email_change_id, c.new_email, c.old_email, c.new_code_hash, c.old_code_hash, c.new_confirmed_at, c.old_confirmed_at,
           c.attempts_left, c.expires_at
      from email_changes c
      join users u on u.user_id = c.user_id
     where c.user_id = ${user_id}
       and c.expires_at > ${now}
       and c.attempts_left > 0
       and u.email is not distinct from c.old_email
       and u.email_verified = (c.old_code_hash is not null)`)

/** Its id given: one that took its place meanwhile stays as it is. */
export const tryEmailChange = (
  db: Db,
  { user_id, email_change_id, code_hash }: Pick<EmailChange, 'user_id' | 'email_change_id'> & { code_hash: Buffer },
  now: Date,
) =>
  db.maybeOne<EmailChange & { is_right: boolean }>(sql`
    with tried as (
      select email_change_id,
             new_code_hash = ${code_hash} and new_confirmed_at is null as is_new,
             coalesce(old_code_hash = ${code_hash}, false) and old_confirmed_at is null as is_old
        from email_changes
       where user_id = ${user_id}
         and email_change_id = ${email_change_id}
         and expires_at > ${now}
         and attempts_left > 0
         for update
    )
    update email_changes c
       set new_confirmed_at = case when t.is_new then ${now} else c.new_confirmed_at end,
           old_confirmed_at = case when t.is_old then ${now} else c.old_confirmed_at end,
           attempts_left = c.attempts_left - case when t.is_new or t.is_old then 0 else 1 end
      from tried t
     where c.email_change_id = t.email_change_id
    returning c.user_id, c.email_change_id, c.new_email, c.old_email, c.new_code_hash, c.old_code_hash, c.new_confirmed_at, c.old_confirmed_at,
              c.attempts_left, c.expires_at, t.is_new or t.is_old as is_right`)

/** Undefined when none waited. */
export const deleteEmailChange = (db: Db, user_id: string) =>
  db.maybeOne<Pick<EmailChange, 'new_email'>>(sql`
    delete from email_changes
     where user_id = ${user_id}
    returning new_email`)

export const purgeEmailChanges = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from email_changes
     where user_id in (
       select user_id
         from email_changes
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
