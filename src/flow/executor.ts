/**
 * The executor alone decides what comes next. It knows neither HTTP nor HTML: it takes what a browser sent, moves the attempt on and
 * answers a step, which the two fronts show as a page or as JSON.
 *
 * A move names the version that was read. So of two posts at once one wins and the other gets `conflict`; and since stages that ask
 * nothing (user_login) do their work in the transaction that ends with the move, that happens once or not at all.
 */
import { recordEvent } from '#/events/record.ts'
import { canSend } from '#/identity/mail.ts'
import { countOutcome } from '#/identity/reputation.ts'
import { sha256 } from '#/lib/crypto.ts'
import type { Db } from '#/lib/sql.ts'
import { attemptIdOf, type FlowAttempt, findFlowAttempt, keepInFlowAttempt, moveFlowAttempt } from '#/model/flow_attempts.ts'
import { AskAgain } from './ask_again.ts'
import { AttemptOver } from './attempt_over.ts'
import type { BegunAttempt } from './attempts.ts'
import { turnOf } from './conditions.ts'
import { type CompiledStage, type Flow, isForSignedIn } from './flows.ts'
import { checkOwnSession } from './own_session.ts'
import { brokenConditionEvent, eventOf, type Happened } from './sign_in_events.ts'
import type { Answer, Ask, Context, Facts, Failure, FlowDeps, FlowRequest, Outcome, SessionChange, Stage, StageInput } from './stage.ts'
import { type StageName, stages } from './stages/index.ts'
import { promptAgain, promptFor } from './stages/prompt.ts'
import { type Hidden, type HiddenState, openAttemptStates } from './state.ts'
import { type Passage, withPassage } from './trail.ts'

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

/** One request's work on one attempt. */
interface Turn {
  deps: FlowDeps
  attempt: string
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
export const showAttempt = async (deps: FlowDeps, visit: Visit): Promise<Step> => show(await load(deps, visit))

/** The same of an attempt that this very request has begun. */
export const showBegun = (
  deps: FlowDeps,
  { begun: { attempt, row }, ...visit }: Omit<Visit, 'attempt'> & { begun: BegunAttempt },
): Promise<Step> => show(turnOn(deps, { ...visit, attempt }, row))

const show = async (turn: Turn): Promise<Step> => {
  const entered = await enter(turn)
  if (entered) return move(turn, entered)
  const { stage } = current(turn)
  // Once it keeps something, it has sent what it sends.
  const mayWrite = stage.sends && turn.hidden.kept === undefined
  const outcome = mayWrite ? await turn.deps.db.transaction((db) => challenge(within(turn, db), stage)) : await challenge(turn, stage)
  return outcome.kind === 'ask' ? asking(turn, turn.row.stage_index, outcome.ask) : move(turn, outcome)
}

/** Of the stage at which the attempt stands. */
const challenge = async (turn: Turn, stage: Stage): Promise<Outcome> => {
  const outcome = await stage.challenge(turn.deps, inputOf(turn))
  if (outcome.kind === 'ask') await keep(turn, outcome.keep)
  return outcome
}

const within = (turn: Turn, db: Db): Turn => ({ ...turn, deps: { ...turn.deps, db } })

/** Judges what was posted and answers what comes next. */
export const postAttempt = async (deps: FlowDeps, visit: Omit<Visit, 'attempt'> & { post: Post }): Promise<Step> => {
  const { post } = visit
  const turn = await load(deps, { ...visit, attempt: post.attempt })
  const { name, stage, onRefusal } = current(turn)
  if (post.stage !== name || (await enter(turn))) throw new AttemptOver('the attempt is at another stage', turn.row)
  if (post.decline) return move(turn, { kind: 'denied', reason: 'access_denied' })
  if (post.restart) return restart(turn)
  const input = inputOf(turn)
  const outcome = stage.answer ? await stage.answer(deps, input, post.fields) : await stage.challenge(deps, input)
  if (outcome.kind === 'ask') {
    await keep(turn, outcome.keep)
    return asking(turn, turn.row.stage_index, outcome.ask)
  }
  if (outcome.kind !== 'failed') return move(turn, outcome, 'answered')
  await record(turn, { kind: 'failed', stage: name, reason: outcome.reason })
  const { ask, reason, retryAfter } = outcome
  // A field left empty is no refusal.
  if (reason === 'InvalidCredentials' && onRefusal === 'deny') return move(turn, { kind: 'denied', reason: 'access_denied' })
  if (reason === 'InvalidCredentials' && onRefusal === 'restart') return restart(turn)
  await keep(turn, outcome.keep)
  return { ...position(turn), kind: 'refused', stage: name, ask, reason, retryAfter }
}

const load = async (deps: FlowDeps, visit: Visit): Promise<Turn> => {
  const { flow, attempt, request, now } = visit
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
  // Back to who began it, where that is not the person: there it begins anew.
  const known = row.reference === null ? undefined : ({ ...row, state: 'denied' } as const)
  if (row.is_of_other_password) throw new AttemptOver('the password was changed meanwhile', known)
  await checkOwnSession(deps, { flow, request, row, known, now })
  return turnOn(deps, visit, row)
}

/** Columns of JSON are written by this folder alone, and signed. */
const turnOn = (deps: FlowDeps, { flow, attempt, request, now }: Visit, row: FlowAttempt): Turn => ({
  deps,
  attempt,
  flow,
  row,
  context: row.context as Context,
  facts: row.facts as Facts,
  hidden: openAttemptStates(deps.rootSecret).open(row.sealed_state, row.attempt_hash),
  request,
  now,
})

/** An attempt begins at the first stage without a look at its `when`. Undefined when that stage's turn comes, and always later. */
const enter = async (turn: Turn): Promise<Judged | undefined> => {
  if (turn.row.version > 0) return undefined
  const found = await nextStage(turn, 0)
  if (found.kind === 'stage' && found.index === 0) return undefined
  return { kind: 'entered' }
}

const current = ({ flow, row }: Turn): { name: StageName; stage: Stage; onRefusal: CompiledStage['onRefusal'] } => {
  const compiled = flow.stages[row.stage_index]
  if (!compiled) throw new AttemptOver('the flow has changed', row)
  return { name: compiled.stage, stage: stages[compiled.stage], onRefusal: compiled.onRefusal }
}

/** `version`: that of the attempt while this stage asks. */
const inputOf = (
  { deps, flow, row, context, facts, hidden: { kept, carried }, request, now }: Turn,
  index = row.stage_index,
  version = row.version,
): StageInput => ({
  flow: flow.name,
  settings: flow.stages[index]?.settings ?? {},
  facts,
  context,
  kept: kept?.stage_index === index ? kept.values : {},
  carried: carried ?? {},
  nonce: () => openAttemptStates(deps.rootSecret).nonce(row.attempt_hash, version),
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
  { deps, flow, row, facts, hidden }: Turn,
  { state, stage_index }: { state: FlowAttempt['state']; stage_index: number },
) => {
  const states = openAttemptStates(deps.rootSecret)
  const { attempt_hash, flow_name, reference, next, context } = row
  const sealed_state = states.seal(hidden, attempt_hash)
  return {
    state,
    stage_index,
    facts,
    sealed_state,
    signature: states.sign({
      attempt_hash,
      flow_name,
      reference,
      next,
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
  const { deps, row } = turn
  const { attempt_hash, stage_index, version } = row
  turn.hidden = { ...turn.hidden, kept: { stage_index, values } }
  await keepInFlowAttempt(deps.db, attempt_hash, version, columnsOf(turn, { state: 'running', stage_index }))
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
const withPassed = (turn: Turn, { facts, carry }: Extract<Outcome, { kind: 'passed' }>, trail: string): Turn => {
  const carried = carry ? { ...turn.hidden.carried, ...carry } : turn.hidden.carried
  return { ...turn, facts: { ...turn.facts, ...facts, trail }, hidden: carried ? { carried } : {} }
}

const withKept = (turn: Turn, stage_index: number, values: Hidden | undefined): Turn =>
  values ? { ...turn, hidden: { ...turn.hidden, kept: { stage_index, values } } } : turn

/** How far an attempt has got on its way to the next question, or to its end. */
interface Way {
  turn: Turn
  session: SessionChange | undefined
  /** The last stage that was come to. */
  stage_index: number
  /** Where the next one is looked for. */
  from: number
  /** What stopped it. Undefined: it goes on. */
  stop: Exclude<Outcome, { kind: 'passed' }> | { kind: 'end' } | { kind: 'broken'; reason: string } | undefined
}

const after = (way: Way, outcome: Outcome, passage: Passage = 'passed'): Way => {
  if (outcome.kind !== 'passed') return { ...way, stop: outcome }
  const { turn, stage_index, session } = way
  return {
    ...way,
    turn: withPassed(turn, outcome, withPassage(turn.facts.trail, stage_index, passage)),
    session: outcome.session ?? session,
  }
}

/** On through the stages that are `ours` to run. */
const follow = async (begun: Way, ours: (stage: Stage) => boolean): Promise<Way> => {
  let way = begun
  while (!way.stop) {
    const { turn, from } = way
    const found = await nextStage(turn, from)
    if (found.kind === 'end') return { ...way, stop: found }
    const stage_index = found.index
    if (found.kind === 'broken') return { ...way, stage_index, stop: found }
    const stage: Stage = stages[(turn.flow.stages[stage_index] as CompiledStage).stage]
    if (!ours(stage)) return way
    const outcome = await stage.challenge(turn.deps, inputOf(turn, stage_index, turn.row.version + 1))
    way = after({ ...way, stage_index, from: stage_index + 1 }, outcome)
  }
  return way
}

/** Looks, and asks if there is anything to be asked; works only when it is answered. */
const asks = (stage: Stage): boolean => stage.answer !== undefined && !stage.sends

/** From a stage that is judged to the next that asks, or to the end. */
const move = async (turn: Turn, judged: Judged, passage?: Passage): Promise<Step> => {
  const { stage_index } = turn.row
  const here: Way = { turn, session: undefined, stage_index, from: stage_index + 1, stop: undefined }
  const begun: Way = judged.kind === 'entered' ? { ...here, from: 0 } : after(here, judged, passage)
  // No transaction stays open for what is merely looked up.
  const way = await follow(begun, asks)
  if (way.stop?.kind === 'ask') return askNext(way, way.stop)
  try {
    return await turn.deps.db.transaction(async (db) => {
      const inside = await follow({ ...way, turn: within(way.turn, db) }, () => true)
      return inside.stop?.kind === 'ask' ? askNext(inside, inside.stop) : end(inside)
    })
  } catch (error) {
    if (error instanceof AskAgain) return askAgain(way, error)
    throw error
  }
}

/** Back to the prompt that asked for what could not be kept; where none did, the attempt ends. */
const askAgain = async (way: Way, { mistakes, reason }: AskAgain): Promise<Step> => {
  const { turn, from } = way
  const { deps, flow, row } = turn
  const stage_index = promptFor(flow.stages.slice(0, from), mistakes)
  const stop = { kind: 'denied', reason: 'account_exists' } as const
  if (stage_index < 0) return deps.db.transaction((db) => end({ ...way, turn: within(turn, db), stop }))
  const ask = promptAgain(inputOf(turn, stage_index, row.version + 1), mistakes)
  await moveTo(turn, { state: 'running', stage_index })
  await record(turn, { kind: 'failed', stage: 'user_write', reason })
  return { ...position(turn), kind: 'refused', stage: 'prompt', ask, reason, retryAfter: undefined }
}

const askNext = async ({ turn, session, stage_index }: Way, { ask, keep: values }: Extract<Outcome, { kind: 'ask' }>): Promise<Step> => {
  const asked = withKept(turn, stage_index, values)
  await moveTo(asked, { state: 'running', stage_index })
  return asking(asked, stage_index, ask, session)
}

/** In the transaction, as the last thing but for what tells of it. */
const end = async ({ turn, session, stage_index, stop }: Way): Promise<Step> => {
  const over: Turn = { ...turn, hidden: {} }
  const { deps, flow, now } = over
  if (stop?.kind === 'end') {
    await moveTo(over, { state: 'passed', stage_index })
    await record(over, { kind: 'passed' })
    return { ...position(over), kind: 'done', session }
  }
  const reason = stop?.kind === 'denied' ? stop.reason : stop?.kind === 'broken' ? 'configuration_error' : 'access_denied'
  await moveTo(over, { state: 'denied', stage_index, reason })
  if (stop?.kind === 'broken')
    await recordEvent(deps.db, brokenConditionEvent({ attempt: attemptIdOf(over.row), flow }, stage_index, stop.reason), now)
  await record(over, { kind: 'denied', reason })
  return { ...position(over), kind: 'deny', reason }
}

/** Throws when the attempt has moved since it was read, which undoes what the transaction did. */
const moveTo = async (turn: Turn, to: { state: FlowAttempt['state']; stage_index: number; reason?: string }): Promise<void> => {
  const { deps, row, now } = turn
  const { reason } = to
  const moved = { ...columnsOf(turn, to), ...(reason === undefined ? {} : { reason }) }
  if (!(await moveFlowAttempt(deps.db, row.attempt_hash, row.version, moved, now))) throw new AttemptOver('the attempt has moved on', row)
}

/** Back to the first stage, with nothing found out. */
const restart = async (turn: Turn): Promise<Step> => {
  const { flow, row } = turn
  // A link of recovery is used by then, or is another's: it begins with the name again.
  const token = flow.designation === 'recovery' ? undefined : turn.hidden.carried?.token
  const { trail: _, ...known } = turn.facts
  const fresh: Turn = { ...turn, facts: isForSignedIn(flow) ? known : {}, hidden: token === undefined ? {} : { carried: { token } } }
  return turn.deps.db.transaction(async (db) => {
    const begun: Way = { turn: within(fresh, db), session: undefined, stage_index: 0, from: 0, stop: undefined }
    const way = await follow(begun, ({ answer }) => answer !== undefined)
    if (way.stop?.kind !== 'ask') throw new AttemptOver('the flow cannot be started over', row)
    return askNext(way, way.stop)
  })
}

const record = async ({ deps, flow, row, facts, context, request, now }: Turn, happened: Happened): Promise<void> => {
  const event = eventOf(happened, { attempt: attemptIdOf(row), flow, facts, context, request })
  if (event) await recordEvent(deps.db, event, now)
  // Wrong answers and sign-ins are what a network is judged by.
  if (happened.kind === 'failed' && happened.reason === 'InvalidCredentials') await countOutcome(deps.db, request.network, 'failure', now)
  else if (happened.kind === 'passed' && flow.designation === 'authentication') await countOutcome(deps.db, request.network, 'success', now)
}
