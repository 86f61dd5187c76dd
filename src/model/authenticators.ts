import { type Db, sql } from '#/lib/sql.ts'

export const factorTypes = ['totp', 'static', 'webauthn', 'email'] as const
export type FactorType = (typeof factorTypes)[number]

export interface AuthenticatorRow {
  authenticator_id: string
  type: FactorType
  name: string | null
  created_at: Date
  last_used_at: Date | null
}

/** What WebAuthn keeps of a credential; `counter` is a number of 32 bits. */
export interface CredentialRecord {
  rp_id: string
  credential_id: Buffer
  public_key: Buffer
  counter: number
  transports: string[]
  aaguid: string
  device_type: 'singleDevice' | 'multiDevice'
  backed_up: boolean
  attestation_format: string
}

export interface AuthenticatorToInsert {
  authenticator_id: string
  user_id: string
  type: FactorType
  name: string | null
  totp?: { sealed_secret: Buffer; last_step: number }
  credential?: CredentialRecord
}

/** 0 when there is one of that id, that credential, or that type where a person has one. */
export const insertAuthenticator = (db: Db, { totp, credential, ...row }: AuthenticatorToInsert, now: Date) =>
  db.run(sql`
    insert into authenticators (authenticator_id, user_id, type, name, created_at, sealed_secret, last_step, rp_id, credential_id, public_key,
                                counter, transports, aaguid, device_type, backed_up, attestation_format)
    values (${row.authenticator_id}, ${row.user_id}, ${row.type}, ${row.name}, ${now}, ${totp?.sealed_secret}, ${totp?.last_step},
            ${credential?.rp_id}, ${credential?.credential_id}, ${credential?.public_key}, ${credential?.counter}, ${credential?.transports},
            ${credential?.aaguid}, ${credential?.device_type}, ${credential?.backed_up}, ${credential?.attestation_format})
    on conflict do nothing`)

export const countAuthenticators = async (db: Db, user_id: string): Promise<number> =>
  (await db.one<{ count: number }>(sql`select count(*)::integer as count from authenticators where user_id = ${user_id}`)).count

/** In the order of their making. */
export const listAuthenticators = (db: Db, user_id: string) =>
  db.any<AuthenticatorRow>(sql`
    select authenticator_id, type, name, created_at, last_used_at
      from authenticators
     where user_id = ${user_id}
     order by created_at, authenticator_id`)

/** Each type that a person has, once, and how many recovery codes are left. */
export const listFactorTypes = (db: Db, user_id: string) =>
  db.any<{ type: FactorType; codes_left: number }>(sql`
    select a.type, count(c.code_hash)::integer as codes_left
      from authenticators a
      left join recovery_codes c on c.authenticator_id = a.authenticator_id and c.consumed_at is null
     where a.user_id = ${user_id}
     group by a.type
     order by a.type`)

export const deleteAuthenticator = (db: Db, { user_id, authenticator_id }: { user_id: string; authenticator_id: string }) =>
  db.maybeOne<{ type: FactorType; name: string | null }>(sql`
    delete from authenticators
     where authenticator_id = ${authenticator_id}
       and user_id = ${user_id}
    returning type, name`)

/** Those whose ids were made before this one. */
export const deleteOlderAuthenticators = (
  db: Db,
  { user_id, type, authenticator_id }: Pick<AuthenticatorToInsert, 'user_id' | 'type' | 'authenticator_id'>,
) =>
  db.run(sql`
    delete from authenticators
     where user_id = ${user_id}
       and type = ${type}
       and authenticator_id < ${authenticator_id}`)

export const deleteAuthenticatorsOfUser = (db: Db, user_id: string) => db.run(sql`delete from authenticators where user_id = ${user_id}`)

export const listTotpSecrets = (db: Db, user_id: string) =>
  db.any<{ authenticator_id: string; sealed_secret: Buffer }>(sql`
    select authenticator_id, sealed_secret
      from authenticators
     where user_id = ${user_id}
       and type = 'totp'
     order by created_at, authenticator_id`)

/** 1 for the one that used this time step, 0 for whoever comes with it, or with an earlier one, again. */
export const useTotpStep = (db: Db, { authenticator_id, step }: { authenticator_id: string; step: number }, now: Date) =>
  db.run(sql`
    update authenticators
       set last_step = ${step},
           last_used_at = ${now}
     where authenticator_id = ${authenticator_id}
       and last_step < ${step}`)

export const listCredentialIds = (db: Db, { user_id, rp_id }: { user_id: string; rp_id: string }) =>
  db.any<{ credential_id: Buffer; transports: string[]; device_type: CredentialRecord['device_type'] }>(sql`
    select credential_id, transports, device_type
      from authenticators
     where user_id = ${user_id}
       and type = 'webauthn'
       and rp_id = ${rp_id}
     order by created_at, authenticator_id`)

export interface FoundCredential {
  authenticator_id: string
  user_id: string
  public_key: Buffer
  counter: number
  device_type: 'singleDevice' | 'multiDevice'
}

/** Undefined when unknown, of another host, or of someone who may not sign in. */
export const findCredential = (db: Db, { credential_id, rp_id }: { credential_id: Buffer; rp_id: string }) =>
  db.maybeOne<FoundCredential>(sql`
    select a.authenticator_id, a.user_id, a.public_key, a.counter::float8 as counter, a.device_type
      from authenticators a
      join users u on u.user_id = a.user_id
     where a.credential_id = ${credential_id}
       and a.rp_id = ${rp_id}
       and u.active
       and not u.service_account`)

/** 0 when the counter does not go up: the response was seen before, or there are two of this authenticator. Those without a counter send 0. */
export const useCredential = (
  db: Db,
  { authenticator_id, counter, backed_up }: { authenticator_id: string; counter: number; backed_up: boolean },
  now: Date,
) =>
  db.run(sql`
    update authenticators
       set counter = ${counter},
           backed_up = ${backed_up},
           last_used_at = ${now}
     where authenticator_id = ${authenticator_id}
       and (counter < ${counter}::bigint or (counter = 0 and ${counter}::bigint = 0))`)

/** The person's one of a type they have once; undefined when they have none. */
export const useSingleAuthenticator = (db: Db, { user_id, type }: { user_id: string; type: 'static' | 'email' }, now: Date) =>
  db.maybeOne<{ authenticator_id: string }>(sql`
    update authenticators
       set last_used_at = ${now}
     where user_id = ${user_id}
       and type = ${type}
    returning authenticator_id`)
