import { type Db, plannedAnew, sql } from '#/lib/sql.ts'

export interface FlowAttempt {
  attempt_hash: Buffer
  flow_name: string
  reference: string | null
  next: string
  state: 'running' | 'passed' | 'denied'
  reason: string | null
  stage_index: number
  version: number
  /** Written and read by src/flow alone. */
  context: unknown
  facts: unknown
  sealed_state: Buffer | null
  signature: Buffer | null
  /** Found again after the person's password became another one than the attempt knows of. */
  is_of_other_password?: boolean
}

export interface NewFlowAttempt extends Omit<FlowAttempt, 'state' | 'reason' | 'stage_index' | 'version'> {
  browser_hash: Buffer
  issuer: string
  network: string | null
  user_agent: string | null
  expires_at: Date
}

/** At its first stage, in version 0. */
export const insertFlowAttempt = (db: Db, attempt: NewFlowAttempt, now: Date): Promise<number> =>
  db.run(sql`
  insert into flow_attempts (attempt_hash, browser_hash, issuer, flow_name, reference, next, context, facts, sealed_state, signature,
                             network, user_agent, created_at, expires_at)
  values (${attempt.attempt_hash}, ${attempt.browser_hash}, ${attempt.issuer}, ${attempt.flow_name}, ${attempt.reference},
          ${attempt.next}, ${JSON.stringify(attempt.context)}, ${JSON.stringify(attempt.facts)}, ${attempt.sealed_state}, ${attempt.signature},
          ${attempt.network}, ${attempt.user_agent}, ${now}, ${attempt.expires_at})`)

/** Of that browser and issuer only: to anyone else it is as if it were not there. */
export const findFlowAttempt = (
  db: Db,
  by: { attempt_hash: Buffer; browser_hash: Buffer; issuer: string },
  now: Date,
): Promise<FlowAttempt | undefined> =>
  db.maybeOne(sql`
  select attempt_hash, flow_name, reference, next, state, reason, stage_index, version, context, facts, sealed_state, signature,
         facts ? 'password_version'
           and (facts ->> 'password_version')::numeric
               <> coalesce((select floor(extract(epoch from p.changed_at) * 1000)
                              from passwords p
                             where p.user_id = (facts ->> 'user_id')::uuid), 0) as is_of_other_password
    from flow_attempts
   where attempt_hash = ${by.attempt_hash}
     and browser_hash = ${by.browser_hash}
     and issuer = ${by.issuer}
     and expires_at > ${now}`)

/** Of that reference in that browser the newest that is over, else the newest that runs. */
export const findFlowAttemptByReference = (
  db: Db,
  by: { reference: string; flow_name: string; browser_hash: Buffer; issuer: string },
  now: Date,
): Promise<FlowAttempt | undefined> =>
  db.maybeOne(sql`
  select attempt_hash, flow_name, reference, next, state, reason, stage_index, version, context, facts, sealed_state, signature
    from flow_attempts
   where reference = ${by.reference}
     and flow_name = ${by.flow_name}
     and browser_hash = ${by.browser_hash}
     and issuer = ${by.issuer}
     and expires_at > ${now}
   order by (state = 'running'), created_at desc
   limit 1`)

export interface MovedFlowAttempt {
  state: FlowAttempt['state']
  reason?: string
  stage_index: number
  facts: unknown
  sealed_state: Buffer | null
  signature: Buffer
}

/** False when another post has moved the attempt since it was read, or it is over: what was done for this move must then be undone. */
export const moveFlowAttempt = async (
  db: Db,
  attempt_hash: Buffer,
  version: number,
  moved: MovedFlowAttempt,
  now: Date,
): Promise<boolean> =>
  (await db.run(sql`
  update flow_attempts
     set version = version + 1,
         state = ${moved.state},
         reason = ${moved.reason ?? null},
         stage_index = ${moved.stage_index},
         facts = ${JSON.stringify(moved.facts)},
         sealed_state = ${moved.sealed_state},
         signature = ${moved.signature}
   where attempt_hash = ${attempt_hash}
     and version = ${version}
     and state = 'running'
     and expires_at > ${now}`)) === 1

/** What a stage keeps while it asks: the attempt stays where it is. Nothing happens when it has moved since it was read. */
export const keepInFlowAttempt = (
  db: Db,
  attempt_hash: Buffer,
  version: number,
  { sealed_state, signature }: { sealed_state: Buffer | null; signature: Buffer },
): Promise<number> =>
  db.run(sql`
  update flow_attempts
     set sealed_state = ${sealed_state},
         signature = ${signature}
   where attempt_hash = ${attempt_hash}
     and version = ${version}
     and state = 'running'`)

/** As an administrator looks at it. */
export interface InspectedFlowAttempt extends FlowAttempt {
  issuer: string
  network: string | null
  user_agent: string | null
  created_at: Date
  expires_at: Date
}

const idBytes = 16

/** What names an attempt to administrators: half of its hash, from which nobody gets to the attempt's own id, with which it is continued. */
export const attemptIdOf = ({ attempt_hash }: { attempt_hash: Buffer }): string => attempt_hash.subarray(0, idBytes).toString('hex')

/** Undefined when there is none, or it has expired. `id`: 32 hexadecimal digits. */
export const findFlowAttemptById = (db: Db, id: string, now: Date): Promise<InspectedFlowAttempt | undefined> => {
  const [first, last] = [0, 255].map((byte) => Buffer.concat([Buffer.from(id, 'hex'), Buffer.alloc(32 - idBytes, byte)]))
  return db.maybeOne(sql`
  select attempt_hash, flow_name, reference, next, state, reason, stage_index, version, context, facts, sealed_state, signature,
         issuer, network, user_agent, created_at, expires_at,
         facts ? 'password_version'
           and (facts ->> 'password_version')::numeric
               <> coalesce((select floor(extract(epoch from p.changed_at) * 1000)
                              from passwords p
                             where p.user_id = (facts ->> 'user_id')::uuid), 0) as is_of_other_password
    from flow_attempts
   where attempt_hash between ${first} and ${last}
     and expires_at > ${now}`)
}

export interface FlowAttemptFilter {
  state: FlowAttempt['state'] | undefined
  flow_name: string | undefined
  /** Whoever typed this name, in lower case, or is this person. */
  user: { name: string; user_id: string | undefined } | undefined
  /** Older than this one. */
  after: { created_at: Date; id: string } | undefined
  /** So many are looked at. */
  steps: number
  limit: number
}

/**
 * The newest first, of the next `steps` that have not expired. One row at least, which says how far it came (`walked_at` and `walked_to`, null
 * at the end of the table); the others beside it have an attempt.
 */
export const walkFlowAttempts = (db: Db, { state, flow_name, user, after, steps, limit }: FlowAttemptFilter, now: Date) =>
  db.any<{ walked_at: Date | null; walked_to: Buffer | null } & (InspectedFlowAttempt | { attempt_hash: null })>(
    plannedAnew(sql`
  with walked as materialized (
    select attempt_hash, flow_name, reference, next, state, reason, stage_index, version, context, facts, sealed_state, signature,
           issuer, network, user_agent, created_at, expires_at
      from flow_attempts
     where expires_at > ${now}
       and (${after?.created_at ?? null}::timestamptz is null
            or (created_at, attempt_hash) < (${after?.created_at ?? null}::timestamptz, ${after ? Buffer.from(after.id, 'hex') : null}::bytea))
     order by created_at desc, attempt_hash desc
     limit ${steps}
  ), page as (
    select *
      from walked
     where (${state ?? null}::text is null or state = ${state ?? null})
       and (${flow_name ?? null}::text is null or flow_name = ${flow_name ?? null})
       and (${user?.name ?? null}::text is null
            or lower(facts->>'username') = ${user?.name ?? null}
            or coalesce(facts->>'user_id', context->'user'->>'user_id') = ${user?.user_id ?? null})
     order by created_at desc, attempt_hash desc
     limit ${limit}
  )
  select last.created_at as walked_at, last.attempt_hash as walked_to, page.*
    from (select 1) as always
    left join (select created_at, attempt_hash from walked order by created_at, attempt_hash limit 1) as last
           on (select count(*) from walked) = ${steps}
    left join page on true
   order by page.created_at desc, page.attempt_hash desc`),
  )

/** Removes at most `limit` expired ones; answers how many. */
export const purgeFlowAttempts = (db: Db, limit: number, now: Date): Promise<number> =>
  db.run(sql`
  delete from flow_attempts
   where attempt_hash in (select attempt_hash from flow_attempts where expires_at <= ${now} limit ${limit} for update skip locked)`)
