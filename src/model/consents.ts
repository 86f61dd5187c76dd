import { type Db, sql } from '#/lib/sql.ts'

/** What a person agreed to that a client may have. */
export interface Consent {
  consent_id: string
  user_id: string
  issuer: string
  client_id: string
  scopes: string[]
  claims: string[]
  /** Scopes by resource. */
  resources: Record<string, string[]>
  created_at: Date
  updated_at: Date
}

export interface ConsentKey {
  user_id: string
  issuer: string
  client_id: string
}

export const findConsent = (db: Db, { user_id, issuer, client_id }: ConsentKey) =>
  db.maybeOne<Consent>(sql`
    select consent_id, user_id, issuer, client_id, scopes, claims, resources, created_at, updated_at
      from consents
     where user_id = ${user_id}
       and issuer = ${issuer}
       and client_id = ${client_id}`)

/** Adds to what was agreed before. */
export const storeConsent = (db: Db, consent: Omit<Consent, 'created_at' | 'updated_at'>, now: Date) =>
  db.run(sql`
    insert into consents (consent_id, user_id, issuer, client_id, scopes, claims, resources, created_at, updated_at)
    values (${consent.consent_id}, ${consent.user_id}, ${consent.issuer}, ${consent.client_id}, ${consent.scopes}, ${consent.claims},
            ${JSON.stringify(consent.resources)}, ${now}, ${now})
    on conflict (user_id, issuer, client_id) do update
       set scopes = array(select distinct unnest(consents.scopes || excluded.scopes) order by 1),
           claims = array(select distinct unnest(consents.claims || excluded.claims) order by 1),
           resources = consents.resources || excluded.resources,
           updated_at = excluded.updated_at`)

/** By client, of every AuthServer. */
export const listConsents = (db: Db, user_id: string) =>
  db.any<Consent>(sql`
    select consent_id, user_id, issuer, client_id, scopes, claims, resources, created_at, updated_at
      from consents
     where user_id = ${user_id}
     order by client_id, issuer
     limit 500`)

/** At most `batch` that were given until a time; answers how many. */
export const forgetConsentsOfClient = (db: Db, { issuer, client_id }: Omit<ConsentKey, 'user_id'>, until: Date, batch: number) =>
  db.run(sql`
    delete from consents
     where consent_id in (
       select consent_id
         from consents
        where issuer = ${issuer}
          and client_id = ${client_id}
          and created_at <= ${until}
        limit ${batch})`)

/** Takes it back, and with it every token the client holds for the person. Undefined when there was none. */
export const revokeConsent = (db: Db, { user_id, consent_id }: { user_id: string; consent_id: string }) =>
  db.maybeOne<{ consent_id: string; client_id: string }>(sql`
    with revoked as (
      delete from consents
       where user_id = ${user_id}
         and consent_id = ${consent_id}
      returning consent_id, user_id, issuer, client_id
    ), ended as (
      delete from grants g
       using revoked r
       where g.user_id = r.user_id
         and g.issuer = r.issuer
         and g.client_id = r.client_id
    )
    select consent_id, client_id from revoked`)
