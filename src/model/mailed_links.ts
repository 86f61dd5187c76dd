import { type Db, sql } from '#/lib/sql.ts'

export interface MailedLink {
  token_hash: Buffer
  user_id: string
  issuer: string
  flow_name: string
  email: string
  expires_at: Date
}

type Where = Pick<MailedLink, 'token_hash' | 'issuer' | 'flow_name'>

export const storeMailedLink = (db: Db, link: MailedLink) =>
  db.run(sql`
    insert into mailed_links (token_hash, user_id, issuer, flow_name, email, expires_at)
    values (${link.token_hash}, ${link.user_id}, ${link.issuer}, ${link.flow_name}, ${link.email}, ${link.expires_at})`)

/** Whether it would still work; that uses nothing up. */
export const findMailedLink = (db: Db, { token_hash, issuer, flow_name }: Where, now: Date) =>
  db.maybeOne<Pick<MailedLink, 'user_id' | 'email'>>(sql`
    select user_id, email
      from mailed_links
     where token_hash = ${token_hash}
       and issuer = ${issuer}
       and flow_name = ${flow_name}
       and consumed_at is null
       and expires_at > ${now}`)

/** Undefined when unknown, expired or used: two posts cannot both win. Every other link of the person for this flow ends with it. */
export const consumeMailedLink = (db: Db, { token_hash, issuer, flow_name }: Where, now: Date) =>
  db.maybeOne<Pick<MailedLink, 'user_id' | 'email'>>(sql`
    with consumed as (
      update mailed_links
         set consumed_at = ${now}
       where token_hash = ${token_hash}
         and issuer = ${issuer}
         and flow_name = ${flow_name}
         and consumed_at is null
         and expires_at > ${now}
      returning user_id, email, flow_name, issuer
    ), others as (
      delete from mailed_links l
       using consumed c
       where l.user_id = c.user_id
         and l.flow_name = c.flow_name
         and l.issuer = c.issuer
         and l.token_hash <> ${token_hash}
    )
    select user_id, email from consumed`)

/** How many a person was sent since then. */
export const countMailedLinks = (db: Db, { user_id, flow_name }: Pick<MailedLink, 'user_id' | 'flow_name'>, now: Date) =>
  db.one<{ count: number }>(sql`
    select count(*)::int as count
      from mailed_links
     where user_id = ${user_id}
       and flow_name = ${flow_name}
       and consumed_at is null
       and expires_at > ${now}`)

export const purgeMailedLinks = (db: Db, now: Date, batch: number) =>
  db.run(sql`
    delete from mailed_links
     where token_hash in (
       select token_hash
         from mailed_links
        where expires_at <= ${now}
        order by expires_at
        limit ${batch}
          for update skip locked)`)
