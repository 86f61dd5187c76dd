import { type Db, sql } from '#/lib/sql.ts'

export interface AcceptedTerms {
  user_id: string
  version: string
}

export const findAcceptedTerms = (db: Db, { user_id, version }: AcceptedTerms) =>
  db.maybeOne<{ accepted_at: Date }>(sql`
    select accepted_at
      from accepted_terms
     where user_id = ${user_id}
       and version = ${version}`)

/** The first time stands. */
export const storeAcceptedTerms = (db: Db, { user_id, version }: AcceptedTerms, now: Date) =>
  db.run(sql`
    insert into accepted_terms (user_id, version, accepted_at)
    values (${user_id}, ${version}, ${now})
    on conflict do nothing`)
