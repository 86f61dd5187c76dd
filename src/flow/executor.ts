/**
 * The executor alone decides what comes next. It knows neither HTTP nor HTML: it takes what a browser sent, moves the attempt on and
 * answers a step, which src/flow/routes shows as a page or as JSON.
 *
 * A post that passes its stage moves the attempt in one transaction that first claims the version it has read. So of two posts at once
 * one wins and the other gets `conflict`, and what silent stages do on the way (user_login) happens once or not at all.
 */
import { recordEvent } from '#/events/record.ts'
import { sha256 } from '#/lib/crypto.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { claimFlowAttempt, type FlowAttempt, findFlowAttempt, moveFlowAttempt } from '#/model/flow_attempts.ts'
import { type Flow, findFlow } from './flows.ts'
import { eventOf } from './sign_in_events.ts'
import type { Ask, Context, Facts, Failure, FlowDeps, FlowRequest, Outcome, SessionChange, Stage, StageInput } from './stage.ts'
import { type StageName, stages } from './stages/index.ts'

/** Where an attempt stands. */
interface Position {
  attempt: string
  flow: Flow
  context: Context
  facts: Facts
  /** Begun by a protocol: declining goes back to it. */
  isBegunForOther: boolean
  next: string
}

export type Step =
  | (Position & { kind: 'ask'; stage: StageName; ask: Ask })
  | (Position & { kind: 'refused'; stage: StageName; ask: Ask; reason: Failure; retryAfter: number | undefined })
  | (Position & { kind: 'done'; session: SessionChange | undefined })
  | (Position & { kind: 'deny'; reason: string })

export interface Post {
  attempt: string
  stage: string
  /** The person declines. */
  decline: boolean
  /** The person starts over: another name. */
  restart: boolean
  fields: Readonly<Record<string, string>>
}

/** An attempt that is over, at another stage, expired, or not this browser's. What is known of it, for a page to lead on from. */
export class AttemptOver extends Problem {
  readonly known: { state: FlowAttempt['state']; next: string } | undefined
  constructor(detail: string, attempt?: FlowAttempt) {
    super('conflict', { detail })
    this.known = attempt && { state: attempt.state, next: attempt.next }
  }
}

export const getFlow = (name: string): Flow => {
  const flow = findFlow(name)
  if (!flow) throw new Problem('not_found', { detail: 'there is no such flow' })
  return flow
}

/** What the attempt asks now. */
export const showAttempt = async (deps: FlowDeps, flow: Flow, attempt: string, request: FlowRequest, now: Date): Promise<Step> => {
  const at = await load(deps.db, flow, attempt, request, now)
  const { stage } = current(at)
  const outcome = await stage.challenge(deps, inputOf(at, at.row.stage_index, at.facts, request, now))
  if (outcome.kind === 'ask') return asking(at, at.row.stage_index, outcome.ask)
  return move(deps, at, at.row.stage_index, outcome, request, now)
}

/** Judges what was posted and answers what comes next. */
export const postAttempt = async (deps: FlowDeps, flow: Flow, post: Post, request: FlowRequest, now: Date): Promise<Step> => {
  const at = await load(deps.db, flow, post.attempt, request, now)
  const { name, stage } = current(at)
  if (post.stage !== name) throw new AttemptOver('the attempt is at another stage', at.row)
  const index = at.row.stage_index
  if (post.decline) return move(deps, at, index, { kind: 'denied', reason: 'access_denied' }, request, now)
  if (post.restart) return restart(deps, at, request, now)
  const input = inputOf(at, index, at.facts, request, now)
  const outcome = stage.answer ? await stage.answer(deps, input, post.fields) : await stage.challenge(deps, input)
  if (outcome.kind === 'failed') {
    const event = eventOf({ kind: 'failed', stage: name, reason: outcome.reason }, at, request)
    if (event) await recordEvent(deps.db, event, now)
    return { ...position(at), kind: 'refused', stage: name, ask: outcome.ask, reason: outcome.reason, retryAfter: outcome.retryAfter }
  }
  return outcome.kind === 'ask' ? asking(at, index, outcome.ask) : move(deps, at, index, outcome, request, now)
}

export interface Loaded {
  attempt: string
  attempt_hash: Buffer
  flow: Flow
  row: FlowAttempt
  context: Context
  facts: Facts
}

const load = async (db: Db, flow: Flow, attempt: string, request: FlowRequest, now: Date): Promise<Loaded> => {
  const attempt_hash = sha256(attempt)
  const row = request.browser
    ? await findFlowAttempt(db, { attempt_hash, browser_hash: sha256(request.browser), issuer: request.authServer.issuerUrl }, now)
    : undefined
  if (!row || row.flow_name !== flow.name) throw new AttemptOver('there is no such attempt in this browser, or it has expired')
  if (row.state !== 'running') throw new AttemptOver('the attempt is over', row)
  // Both columns are written by this folder alone.
  return { attempt, attempt_hash, flow, row, context: row.context as Context, facts: row.facts as Facts }
}

const current = ({ flow, row }: Loaded): { name: StageName; stage: Stage } => {
  const name = flow.stages[row.stage_index]?.stage
  // The flow was changed under a running attempt.
  if (!name) throw new AttemptOver('the flow has changed', row)
  return { name, stage: stages[name] }
}

const inputOf = ({ flow, context }: Loaded, index: number, facts: Facts, request: FlowRequest, now: Date): StageInput => ({
  settings: flow.stages[index]?.settings ?? {},
  facts,
  context,
  request,
  now,
})

const position = ({ attempt, flow, context, facts, row }: Loaded): Position => ({
  attempt,
  flow,
  context,
  facts,
  isBegunForOther: row.reference !== null,
  next: row.next,
})

const asking = (at: Loaded, index: number, ask: Ask): Step => {
  const stage = at.flow.stages[index]?.stage
  if (!stage) throw new AttemptOver('the flow has changed', at.row)
  return { ...position(at), kind: 'ask', stage, ask }
}

/** From a stage that is passed or denied to the next that asks, or to the end. All of it or nothing. */
const move = (deps: FlowDeps, at: Loaded, from: number, first: Exclude<Outcome, { kind: 'ask' }>, request: FlowRequest, now: Date) =>
  deps.db.transaction(async (db): Promise<Step> => {
    if (!(await claimFlowAttempt(db, at.attempt_hash, at.row.version, now))) throw new AttemptOver('the attempt has moved on', at.row)
    const inside: FlowDeps = { ...deps, db }
    let facts = at.facts
    let session: SessionChange | undefined
    let outcome: Outcome = first
    for (let index = from; ; ) {
      if (outcome.kind === 'ask') {
        await moveFlowAttempt(db, at.attempt_hash, { state: 'running', stage_index: index, facts })
        return asking({ ...at, facts }, index, outcome.ask)
      }
      if (outcome.kind !== 'passed') {
        const reason = outcome.kind === 'denied' ? outcome.reason : 'access_denied'
        await moveFlowAttempt(db, at.attempt_hash, { state: 'denied', reason, stage_index: index, facts })
        const event = eventOf({ kind: 'denied', reason }, { ...at, facts }, request)
        if (event) await recordEvent(db, event, now)
        return { ...position({ ...at, facts }), kind: 'deny', reason }
      }
      facts = { ...facts, ...outcome.facts }
      session = outcome.session ?? session
      index += 1
      const next = at.flow.stages[index]
      if (!next) {
        await moveFlowAttempt(db, at.attempt_hash, { state: 'passed', stage_index: index, facts })
        const event = eventOf({ kind: 'passed' }, { ...at, facts }, request)
        if (event) await recordEvent(db, event, now)
        return { ...position({ ...at, facts }), kind: 'done', session }
      }
      outcome = await stages[next.stage].challenge(inside, inputOf({ ...at, facts }, index, facts, request, now))
    }
  })

const restart = async (deps: FlowDeps, at: Loaded, request: FlowRequest, now: Date): Promise<Step> => {
  const outcome = await stages[at.flow.stages[0]?.stage ?? 'identification'].challenge(deps, inputOf(at, 0, {}, request, now))
  if (outcome.kind !== 'ask') throw new AttemptOver('the flow cannot be started over', at.row)
  await deps.db.transaction(async (db) => {
    if (!(await claimFlowAttempt(db, at.attempt_hash, at.row.version, now))) throw new AttemptOver('the attempt has moved on', at.row)
    await moveFlowAttempt(db, at.attempt_hash, { state: 'running', stage_index: 0, facts: {} })
  })
  return asking({ ...at, facts: {} }, 0, outcome.ask)
}
