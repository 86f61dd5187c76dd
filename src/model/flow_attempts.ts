import { type Db, sql } from '#/lib/sql.ts'

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
}

export interface NewFlowAttempt extends Omit<FlowAttempt, 'state' | 'reason' | 'stage_index' | 'version'> {
  browser_hash: Buffer
  issuer: string
  expires_at: Date
}

/** At its first stage, in version 0. */
export const insertFlowAttempt = (db: Db, attempt: NewFlowAttempt, now: Date): Promise<number> =>
  db.run(sql`
  insert into flow_attempts (attempt_hash, browser_hash, issuer, flow_name, reference, next, context, facts, sealed_state, signature, created_at, expires_at)
  values (${attempt.attempt_hash}, ${attempt.browser_hash}, ${attempt.issuer}, ${attempt.flow_name}, ${attempt.reference},
          ${attempt.next}, ${JSON.stringify(attempt.context)}, ${JSON.stringify(attempt.facts)}, ${attempt.sealed_state}, ${attempt.signature}, ${now}, ${attempt.expires_at})`)

/** Of that browser and issuer only: to anyone else it is as if it were not there. */
export const findFlowAttempt = (
  db: Db,
  by: { attempt_hash: Buffer; browser_hash: Buffer; issuer: string },
  now: Date,
): Promise<FlowAttempt | undefined> =>
  db.maybeOne(sql`
  select attempt_hash, flow_name, reference, next, state, reason, stage_index, version, context, facts, sealed_state, signature
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

/** Removes at most `limit` expired ones; answers how many. */
export const purgeFlowAttempts = (db: Db, limit: number, now: Date): Promise<number> =>
  db.run(sql`
  delete from flow_attempts
   where attempt_hash in (select attempt_hash from flow_attempts where expires_at <= ${now} limit ${limit} for update skip locked)`)
