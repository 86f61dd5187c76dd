/**
 * The executor alone decides what comes next. It knows neither HTTP nor HTML: it takes what a browser sent, moves the attempt on and
 * answers a step, which the two fronts show as a page or as JSON.
 *
 * A move names the version that was read. So of two posts at once one wins and the other gets `conflict`; and since stages that ask
 * nothing (user_login) do their work in the transaction of the move, that happens once or not at all.
 */
import { recordEvent } from '#/events/record.ts'
import { canSend } from '#/identity/mail.ts'
import { countOutcome } from '#/identity/reputation.ts'
import { findSession } from '#/identity/sessions.ts'
import { sha256 } from '#/lib/crypto.ts'
import type { AuthServerRef } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import {
  advanceFlowAttempt,
  claimFlowAttempt,
  type FlowAttempt,
  findFlowAttempt,
  keepInFlowAttempt,
  moveFlowAttempt,
} from '#/model/flow_attempts.ts'
import { turnOf } from './conditions.ts'
import { type CompiledStage, type Flow, findFlow } from './flows.ts'
import { brokenConditionEvent, eventOf, type Happened } from './sign_in_events.ts'
import type { Answer, Ask, Context, Facts, Failure, FlowDeps, FlowRequest, Outcome, SessionChange, Stage, StageInput } from './stage.ts'
import { type StageName, stages } from './stages/index.ts'
import { type Hidden, type HiddenState, openAttemptStates } from './state.ts'

/** Where an attempt stands. */
interface Position {
  attempt: string
  flow: Flow
  context: Context
  facts: Facts
  /** Begun by a protocol: declining goes back to it. */
  isBegunForOther: boolean
  /** Whoever cannot sign in may recover their account by mail. */
  canRecover: boolean
  next: string
}

export type Step =
  /** `session`: of a sign-in or sign-out that a stage before this one did. */
  | (Position & { kind: 'ask'; stage: StageName; ask: Ask; session: SessionChange | undefined })
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

export const getFlow = ({ snapshot }: Pick<FlowDeps, 'snapshot'>, authServer: AuthServerRef, name: string): Flow => {
  const flow = findFlow(snapshot, authServer, name)
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
  hidden: HiddenState
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
  const entered = await enter(turn)
  if (entered) return move(turn, entered)
  const outcome = await current(turn).stage.challenge(deps, inputOf(turn, turn.row.stage_index))
  if (outcome.kind !== 'ask') return move(turn, outcome)
  await keep(turn, outcome.keep)
  return asking(turn, turn.row.stage_index, outcome.ask)
}

/** Judges what was posted and answers what comes next. */
export const postAttempt = async (deps: FlowDeps, visit: Omit<Visit, 'attempt'> & { post: Post }): Promise<Step> => {
  const { post } = visit
  const turn = await load(deps, { ...visit, attempt: post.attempt })
  const { name, stage, onRefusal } = current(turn)
  if (post.stage !== name || (await enter(turn))) throw new AttemptOver('the attempt is at another stage', turn.row)
  if (post.decline) return move(turn, { kind: 'denied', reason: 'access_denied' })
  if (post.restart) return restart(turn)
  const input = inputOf(turn, turn.row.stage_index)
  const outcome = stage.answer ? await stage.answer(deps, input, post.fields) : await stage.challenge(deps, input)
  if (outcome.kind === 'ask') {
    await keep(turn, outcome.keep)
    return asking(turn, turn.row.stage_index, outcome.ask)
  }
  if (outcome.kind !== 'failed') return move(turn, outcome)
  await record(turn, { kind: 'failed', stage: name, reason: outcome.reason })
  const { ask, reason, retryAfter } = outcome
  // A field left empty is no refusal.
  if (reason === 'InvalidCredentials' && onRefusal === 'deny') return move(turn, { kind: 'denied', reason: 'access_denied' })
  if (reason === 'InvalidCredentials' && onRefusal === 'restart') return restart(turn)
  await keep(turn, outcome.keep)
  return { ...position(turn), kind: 'refused', stage: name, ask, reason, retryAfter }
}

/** Flows that change what a person has: for whoever is signed in, and only for them. */
export const isForSignedIn = ({ designation }: Flow): boolean => designation === 'stage_configuration' || designation === 'unenrollment'

const load = async (deps: FlowDeps, { flow, attempt, request, now }: Visit): Promise<Turn> => {
  const attempt_hash = sha256(attempt)
  const { browser, authServer } = request
  const row = browser
    ? await findFlowAttempt(deps.db, { attempt_hash, browser_hash: sha256(browser), issuer: authServer.issuerUrl }, now)
    : undefined
  if (!row || row.flow_name !== flow.name) throw new AttemptOver('there is no such attempt in this browser, or it has expired')
  const states = openAttemptStates(deps.rootSecret)
  if (!states.isOurs({ ...row, revision: revisionIn(row.state, flow) }))
    throw new AttemptOver('there is no such attempt in this browser, or it has expired')
  if (row.state !== 'running') throw new AttemptOver('the attempt is over', row)
  // Both columns are written by this folder alone, and signed.
  const facts = row.facts as Facts
  const hangsOnSession = isForSignedIn(flow) || facts.from_session !== undefined
  if (hangsOnSession && !(await isStillSignedIn(deps, request, facts, now)))
    // Back to who began it, where that is not the person: there it begins anew.
    throw new AttemptOver('the session has changed', row.reference === null ? row : { ...row, state: 'denied' })
  return {
    deps,
    attempt,
    attempt_hash,
    flow,
    row,
    context: row.context as Context,
    facts,
    hidden: states.open(row.sealed_state, attempt_hash),
    request,
    now,
  }
}

/** An attempt begins at the first stage without a look at its `when`. Undefined when that stage's turn comes, and always later. */
const enter = async (turn: Turn): Promise<Judged | undefined> => {
  if (turn.row.version > 0) return undefined
  const found = await nextStage(turn, 0)
  if (found.kind === 'stage' && found.index === 0) return undefined
  return { kind: 'entered' }
}

const isStillSignedIn = async ({ db }: FlowDeps, { session: token, authServer }: FlowRequest, facts: Facts, now: Date) => {
  const session = token === undefined ? undefined : await findSession(db, token, now)
  if (!session || session.issuer !== authServer.issuerUrl || session.user.id !== facts.user_id) return false
  return facts.from_session === undefined || facts.from_session === session.uid
}

const current = ({ flow, row }: Turn): { name: StageName; stage: Stage; onRefusal: CompiledStage['onRefusal'] } => {
  const compiled = flow.stages[row.stage_index]
  if (!compiled) throw new AttemptOver('the flow has changed', row)
  return { name: compiled.stage, stage: stages[compiled.stage], onRefusal: compiled.onRefusal }
}

const inputOf = ({ flow, context, facts, hidden: { kept, carried }, request, now }: Turn, index: number): StageInput => ({
  flow: flow.name,
  settings: flow.stages[index]?.settings ?? {},
  facts,
  context,
  kept: kept?.stage_index === index ? kept.values : {},
  carried: carried ?? {},
  request,
  now,
})

const position = ({ deps, attempt, flow, context, facts, row, request }: Turn): Position => ({
  attempt,
  flow,
  context,
  facts,
  isBegunForOther: row.reference !== null,
  canRecover: flow.designation === 'authentication' && canSend(deps.settings),
  next: facts.next === undefined ? row.next : `${request.authServer.pathPrefix}${facts.next}`,
})

const asking = (turn: Turn, index: number, ask: Ask, session?: SessionChange): Step => {
  const stage = turn.flow.stages[index]?.stage
  if (!stage) throw new AttemptOver('the flow has changed', turn.row)
  return { ...position(turn), kind: 'ask', stage, ask, session }
}

const revisionIn = (state: FlowAttempt['state'], { revision }: Flow): string => (state === 'running' ? revision : '')

/** The columns that say where an attempt stands. */
const columnsOf = (
  { deps, attempt_hash, flow, row, facts, hidden }: Turn,
  { state, stage_index }: { state: FlowAttempt['state']; stage_index: number },
) => {
  const states = openAttemptStates(deps.rootSecret)
  const sealed_state = states.seal(hidden, attempt_hash)
  const { flow_name, context } = row
  return {
    state,
    stage_index,
    facts,
    sealed_state,
    signature: states.sign({
      attempt_hash,
      flow_name,
      state,
      stage_index,
      context,
      facts,
      sealed_state,
      revision: revisionIn(state, flow),
    }),
  }
}

/** Undefined: what was kept stays. */
const keep = async (turn: Turn, values: Hidden | undefined): Promise<void> => {
  if (values === undefined) return
  const { deps, row, attempt_hash } = turn
  const { stage_index } = row
  turn.hidden = { ...turn.hidden, kept: { stage_index, values } }
  await keepInFlowAttempt(deps.db, attempt_hash, row.version, columnsOf(turn, { state: 'running', stage_index }))
}

/** `entered`: nothing is judged yet, and the first stage is left out. */
type Judged = Exclude<Outcome, { kind: 'ask' }> | { kind: 'entered' }

type Found = { kind: 'stage'; index: number } | { kind: 'end' } | { kind: 'broken'; reason: string; index: number }

/** The next stage whose turn comes. */
const nextStage = async ({ deps, flow, context, facts, request, now }: Turn, from: number): Promise<Found> => {
  for (let index = from; index < flow.stages.length; index += 1) {
    const turn = await turnOf(deps, flow.stages[index] as CompiledStage, { context, facts, request, now })
    if (turn === 'comes') return { kind: 'stage', index }
    if (turn !== 'left_out') return { kind: 'broken', reason: turn.failed, index }
  }
  return { kind: 'end' }
}

/** With what a passed stage found out; what it kept is gone. */
const withPassed = (turn: Turn, { facts, carry }: Extract<Outcome, { kind: 'passed' }>): Turn => {
  const carried = carry ? { ...turn.hidden.carried, ...carry } : turn.hidden.carried
  return { ...turn, facts: { ...turn.facts, ...facts }, hidden: carried ? { carried } : {} }
}

const withKept = (turn: Turn, stage_index: number, values: Hidden | undefined): Turn =>
  values ? { ...turn, hidden: { ...turn.hidden, kept: { stage_index, values } } } : turn

/** From a stage that is judged to the next that asks, or to the end. */
const move = async (turn: Turn, outcome: Judged): Promise<Step> => (await moveToQuestion(turn, outcome)) ?? moveThrough(turn, outcome)

/** The usual way: the next stage asks, and nothing is done between. One statement; undefined when it is not so. */
const moveToQuestion = async (turn: Turn, judged: Judged): Promise<Step | undefined> => {
  if (judged.kind !== 'passed' || judged.session) return undefined
  const { deps, row, flow, attempt_hash, now } = turn
  const passed = withPassed(turn, judged)
  const found = await nextStage(passed, row.stage_index + 1)
  const stage: Stage | undefined = found.kind === 'stage' ? stages[(flow.stages[found.index] as CompiledStage).stage] : undefined
  if (found.kind !== 'stage' || !stage?.answer) return undefined
  const outcome = await stage.challenge(deps, inputOf(passed, found.index))
  if (outcome.kind !== 'ask') return undefined
  const asked = withKept(passed, found.index, outcome.keep)
  const columns = columnsOf(asked, { state: 'running', stage_index: found.index })
  if (!(await advanceFlowAttempt(deps.db, attempt_hash, row.version, columns, now))) throw movedOn(turn)
  return asking(asked, found.index, outcome.ask)
}

/** Through stages that do their work in the transaction. */
const moveThrough = (turn: Turn, judged: Judged): Promise<Step> =>
  turn.deps.db.transaction(async (db) => {
    const { attempt_hash, row, flow, now } = turn
    if (!(await claimFlowAttempt(db, attempt_hash, row.version, now))) throw movedOn(turn)
    let inside: Turn = { ...turn, deps: { ...turn.deps, db } }
    let session: SessionChange | undefined
    let { stage_index } = row
    let from = judged.kind === 'entered' ? 0 : stage_index + 1
    let outcome: Outcome = judged.kind === 'entered' ? { kind: 'passed', facts: {} } : judged
    let broken: string | undefined
    while (outcome.kind === 'passed') {
      inside = withPassed(inside, outcome)
      session = outcome.session ?? session
      const found = await nextStage(inside, from)
      if (found.kind === 'end') break
      stage_index = found.index
      from = stage_index + 1
      if (found.kind === 'broken') {
        broken = found.reason
        outcome = { kind: 'denied', reason: 'configuration_error' }
      } else outcome = await stages[(flow.stages[stage_index] as CompiledStage).stage].challenge(inside.deps, inputOf(inside, stage_index))
    }
    if (outcome.kind === 'ask') {
      inside = withKept(inside, stage_index, outcome.keep)
      await moveFlowAttempt(db, attempt_hash, columnsOf(inside, { state: 'running', stage_index }))
      return asking(inside, stage_index, outcome.ask, session)
    }
    inside.hidden = {}
    if (outcome.kind === 'passed') {
      await moveFlowAttempt(db, attempt_hash, columnsOf(inside, { state: 'passed', stage_index }))
      await record(inside, { kind: 'passed' })
      return { ...position(inside), kind: 'done', session }
    }
    const reason = outcome.kind === 'denied' ? outcome.reason : 'access_denied'
    await moveFlowAttempt(db, attempt_hash, { ...columnsOf(inside, { state: 'denied', stage_index }), reason })
    if (broken !== undefined) await recordEvent(db, brokenConditionEvent(flow, stage_index, broken), now)
    await record(inside, { kind: 'denied', reason })
    return { ...position(inside), kind: 'deny', reason }
  })

/** Back to the first stage, with nothing found out. */
const restart = async (turn: Turn): Promise<Step> => {
  const { deps, flow, row, attempt_hash, now } = turn
  const { token } = turn.hidden.carried ?? {}
  const fresh: Turn = { ...turn, facts: isForSignedIn(flow) ? turn.facts : {}, hidden: token === undefined ? {} : { carried: { token } } }
  const found = await nextStage(fresh, 0)
  const stage = found.kind === 'stage' ? stages[(flow.stages[found.index] as CompiledStage).stage] : undefined
  const outcome = found.kind === 'stage' && stage ? await stage.challenge(deps, inputOf(fresh, found.index)) : undefined
  if (found.kind !== 'stage' || outcome?.kind !== 'ask') throw new AttemptOver('the flow cannot be started over', row)
  const asked = withKept(fresh, found.index, outcome.keep)
  if (
    !(await advanceFlowAttempt(deps.db, attempt_hash, row.version, columnsOf(asked, { state: 'running', stage_index: found.index }), now))
  )
    throw movedOn(turn)
  return asking(asked, found.index, outcome.ask)
}

const movedOn = ({ row }: Turn) => new AttemptOver('the attempt has moved on', row)

const record = async ({ deps, flow, facts, context, request, now }: Turn, happened: Happened): Promise<void> => {
  const event = eventOf(happened, { flow, facts, context, request })
  if (event) await recordEvent(deps.db, event, now)
  // Wrong answers and sign-ins are what a network is judged by.
  if (happened.kind === 'failed' && happened.reason === 'InvalidCredentials') await countOutcome(deps.db, request.network, 'failure', now)
  else if (happened.kind === 'passed' && flow.designation === 'authentication') await countOutcome(deps.db, request.network, 'success', now)
}
