/**
 * The executor alone decides what comes next. It knows neither HTTP nor HTML: it takes what a browser sent, moves the attempt on and
 * answers a step, which the two fronts show as a page or as JSON.
 *
 * A move names the version that was read. So of two posts at once one wins and the other gets `conflict`; and since stages that ask
 * nothing (user_login) do their work in the transaction of the move, that happens once or not at all.
 */
import { recordEvent } from '#/events/record.ts'
import { sha256 } from '#/lib/crypto.ts'
import { Problem } from '#/lib/problem.ts'
import { advanceFlowAttempt, claimFlowAttempt, type FlowAttempt, findFlowAttempt, moveFlowAttempt } from '#/model/flow_attempts.ts'
import { type Flow, findFlow } from './flows.ts'
import { eventOf, type Happened } from './sign_in_events.ts'
import type { Answer, Ask, Context, Facts, Failure, FlowDeps, FlowRequest, Outcome, SessionChange, Stage, StageInput } from './stage.ts'
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
  fields: Answer
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

/** One request's work on one attempt. */
interface Turn {
  deps: FlowDeps
  attempt: string
  attempt_hash: Buffer
  flow: Flow
  row: FlowAttempt
  context: Context
  facts: Facts
  request: FlowRequest
  now: Date
}

export interface Visit {
  flow: Flow
  attempt: string
  request: FlowRequest
  now: Date
}

/** What the attempt asks now. */
export const showAttempt = async (deps: FlowDeps, visit: Visit): Promise<Step> => {
  const turn = await load(deps, visit)
  const outcome = await current(turn).stage.challenge(deps, inputOf(turn, turn.row.stage_index))
  return outcome.kind === 'ask' ? asking(turn, turn.row.stage_index, outcome.ask) : move(turn, outcome)
}

/** Judges what was posted and answers what comes next. */
export const postAttempt = async (deps: FlowDeps, visit: Omit<Visit, 'attempt'> & { post: Post }): Promise<Step> => {
  const { post } = visit
  const turn = await load(deps, { ...visit, attempt: post.attempt })
  const { name, stage } = current(turn)
  if (post.stage !== name) throw new AttemptOver('the attempt is at another stage', turn.row)
  if (post.decline) return move(turn, { kind: 'denied', reason: 'access_denied' })
  if (post.restart) return restart(turn)
  const input = inputOf(turn, turn.row.stage_index)
  const outcome = stage.answer ? await stage.answer(deps, input, post.fields) : await stage.challenge(deps, input)
  if (outcome.kind === 'ask') return asking(turn, turn.row.stage_index, outcome.ask)
  if (outcome.kind !== 'failed') return move(turn, outcome)
  await record(turn, { kind: 'failed', stage: name, reason: outcome.reason })
  const { ask, reason, retryAfter } = outcome
  return { ...position(turn), kind: 'refused', stage: name, ask, reason, retryAfter }
}

const load = async (deps: FlowDeps, { flow, attempt, request, now }: Visit): Promise<Turn> => {
  const attempt_hash = sha256(attempt)
  const { browser, authServer } = request
  const row = browser
    ? await findFlowAttempt(deps.db, { attempt_hash, browser_hash: sha256(browser), issuer: authServer.issuerUrl }, now)
    : undefined
  if (!row || row.flow_name !== flow.name) throw new AttemptOver('there is no such attempt in this browser, or it has expired')
  if (row.state !== 'running') throw new AttemptOver('the attempt is over', row)
  // Both columns are written by this folder alone.
  return { deps, attempt, attempt_hash, flow, row, context: row.context as Context, facts: row.facts as Facts, request, now }
}

const current = ({ flow, row }: Turn): { name: StageName; stage: Stage } => {
  const name = flow.stages[row.stage_index]?.stage
  if (!name) throw new AttemptOver('the flow has changed', row)
  return { name, stage: stages[name] }
}

const inputOf = ({ flow, context, facts, request, now }: Turn, index: number): StageInput => ({
  settings: flow.stages[index]?.settings ?? {},
  facts,
  context,
  request,
  now,
})

const position = ({ attempt, flow, context, facts, row }: Turn): Position => ({
  attempt,
  flow,
  context,
  facts,
  isBegunForOther: row.reference !== null,
  next: row.next,
})

const asking = (turn: Turn, index: number, ask: Ask): Step => {
  const stage = turn.flow.stages[index]?.stage
  if (!stage) throw new AttemptOver('the flow has changed', turn.row)
  return { ...position(turn), kind: 'ask', stage, ask }
}

const asks = (name: StageName): boolean => (stages[name] as Stage).answer !== undefined

type Judged = Exclude<Outcome, { kind: 'ask' }>

/** From a stage that is judged to the next that asks, or to the end. */
const move = async (turn: Turn, outcome: Judged): Promise<Step> => (await moveToQuestion(turn, outcome)) ?? moveThrough(turn, outcome)

/** The usual way: the very next stage asks, and nothing is done between. One statement; undefined when it is not so. */
const moveToQuestion = async (turn: Turn, judged: Judged): Promise<Step | undefined> => {
  const { deps, row, flow, attempt_hash, now } = turn
  const stage_index = row.stage_index + 1
  const next = flow.stages[stage_index]?.stage
  if (judged.kind !== 'passed' || judged.session || !next || !asks(next)) return undefined
  const facts = { ...turn.facts, ...judged.facts }
  const outcome = await stages[next].challenge(deps, inputOf({ ...turn, facts }, stage_index))
  if (outcome.kind !== 'ask') return undefined
  if (!(await advanceFlowAttempt(deps.db, { attempt_hash, version: row.version, stage_index, facts }, now))) throw movedOn(turn)
  return asking({ ...turn, facts }, stage_index, outcome.ask)
}

/** Through stages that do their work in the transaction. */
const moveThrough = (turn: Turn, judged: Judged): Promise<Step> =>
  turn.deps.db.transaction(async (db) => {
    const { attempt_hash, row, flow, now } = turn
    if (!(await claimFlowAttempt(db, attempt_hash, row.version, now))) throw movedOn(turn)
    const inside: Turn = { ...turn, deps: { ...turn.deps, db } }
    let session: SessionChange | undefined
    let stage_index = row.stage_index
    let outcome: Outcome = judged
    while (outcome.kind === 'passed') {
      inside.facts = { ...inside.facts, ...outcome.facts }
      session = outcome.session ?? session
      stage_index += 1
      const next = flow.stages[stage_index]
      if (!next) break
      outcome = await stages[next.stage].challenge(inside.deps, inputOf(inside, stage_index))
    }
    const { facts } = inside
    if (outcome.kind === 'ask') {
      await moveFlowAttempt(db, attempt_hash, { state: 'running', stage_index, facts })
      return asking(inside, stage_index, outcome.ask)
    }
    if (outcome.kind === 'passed') {
      await moveFlowAttempt(db, attempt_hash, { state: 'passed', stage_index, facts })
      await record(inside, { kind: 'passed' })
      return { ...position(inside), kind: 'done', session }
    }
    const reason = outcome.kind === 'denied' ? outcome.reason : 'access_denied'
    await moveFlowAttempt(db, attempt_hash, { state: 'denied', reason, stage_index, facts })
    await record(inside, { kind: 'denied', reason })
    return { ...position(inside), kind: 'deny', reason }
  })

/** Back to the first stage, with nothing found out. */
const restart = async (turn: Turn): Promise<Step> => {
  const { deps, flow, row, attempt_hash, now } = turn
  const fresh: Turn = { ...turn, facts: {} }
  const first = flow.stages[0]?.stage
  const outcome = first && (await stages[first].challenge(deps, inputOf(fresh, 0)))
  if (outcome?.kind !== 'ask') throw new AttemptOver('the flow cannot be started over', row)
  if (!(await advanceFlowAttempt(deps.db, { attempt_hash, version: row.version, stage_index: 0, facts: {} }, now))) throw movedOn(turn)
  return asking(fresh, 0, outcome.ask)
}

const movedOn = ({ row }: Turn) => new AttemptOver('the attempt has moved on', row)

const record = async ({ deps, flow, facts, context, request, now }: Turn, happened: Happened): Promise<void> => {
  const event = eventOf(happened, { flow, facts, context, request })
  if (event) await recordEvent(deps.db, event, now)
}
