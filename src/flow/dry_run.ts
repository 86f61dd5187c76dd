/**
 * What a flow comes to for one person, without anyone going through it: conditions are evaluated as the executor does, and each stage says what it
 * would ask and what the right answer would find out. PostgreSQL refuses whatever a stage might write, so nothing is kept, counted or sent.
 */
import { type Database, readingAlone } from '#/lib/sql.ts'
import { hasProven, meetsAcr } from '#/policy/acr.ts'
import { turnOf } from './conditions.ts'
import type { Flow } from './flows.ts'
import { conditionField } from './sign_in_events.ts'
import type { Ask, Candidate, Context, Facts, FlowDeps, FlowRequest, Foreseen, StageInput } from './stage.ts'
import { foreseen } from './stage.ts'
import { type StageName, stages } from './stages/index.ts'
import type { Hidden } from './state.ts'

export interface DryRun {
  flow: Flow
  candidate: Candidate
  /** Known at the beginning. */
  facts: Facts
  context: Context
  request: FlowRequest
  now: Date
}

export interface ForeseenStage {
  stage: StageName
  when: string | undefined
  /** `not_reached`: it ends before. */
  turn: 'comes' | 'left_out' | 'broken' | 'not_reached'
  /** Of one that comes. */
  outcome?: Foreseen
  /** Of one whose condition fails. */
  failed?: string
}

export type End =
  | { kind: 'signed_in'; acr: string; amr: string[]; isEnough: boolean }
  | { kind: 'passed' }
  | { kind: 'denied'; reason: string }
  | { kind: 'stuck'; reason: string; retryAfter?: number }
  | { kind: 'broken'; reason: string; field: string }

export interface Foresight {
  stages: ForeseenStage[]
  end: End
}

export const dryRun = (deps: FlowDeps & { db: Database }, run: DryRun): Promise<Foresight> =>
  readingAlone(deps.db, async (db) => walk({ ...deps, db }, run))

const walk = async (deps: FlowDeps, { flow, candidate, context, request, now, ...begun }: DryRun): Promise<Foresight> => {
  let { facts } = begun
  let carried: Hidden = {}
  let end: End | undefined
  const found: ForeseenStage[] = []
  for (const [index, compiled] of flow.stages.entries()) {
    const { stage: name, settings } = compiled
    const named = { stage: name, when: compiled.when?.text }
    if (end) {
      found.push({ ...named, turn: 'not_reached' })
      continue
    }
    // No challenge is given out, so it need not be one.
    const input: StageInput = { flow: flow.name, settings, facts, context, kept: {}, carried, nonce: () => '', request, now }
    const turn = await turnOf(deps, compiled, input)
    if (turn === 'left_out') found.push({ ...named, turn })
    else if (turn !== 'comes') {
      found.push({ ...named, turn: 'broken', failed: turn.failed })
      end = { kind: 'broken', reason: turn.failed, field: conditionField(index) }
    } else {
      const stage = stages[name]
      const outcome = await (stage.foresee?.(deps, input, candidate) ?? stage.challenge(deps, input).then((asked) => foreseen(asked)))
      found.push({ ...named, turn, outcome })
      if (outcome.kind === 'denied' || outcome.kind === 'stuck') end = endOf(outcome)
      else {
        facts = { ...facts, ...outcome.facts }
        if (outcome.kind === 'asked') carried = { ...carried, ...outcome.carry }
      }
    }
  }
  return { stages: found, end: end ?? reached(facts, context) }
}

const endOf = (outcome: Extract<Foreseen, { kind: 'denied' | 'stuck' }>): End => {
  if (outcome.kind === 'denied') return outcome
  const { ask: _, ...stuck } = outcome
  return stuck
}

/** Only user_login finds out an acr. */
const reached = ({ acr, amr = [], factors }: Facts, { acr_values: wanted = [], required_factors: required }: Context): End => {
  if (acr === undefined) return { kind: 'passed' }
  const isEnough = (wanted.length === 0 || meetsAcr(acr, wanted)) && (required === undefined || hasProven(required, factors))
  return { kind: 'signed_in', acr, amr, isEnough }
}

/** What is asked, by the names under which it is posted; a passkey and a mailed link as such. */
export const askedFields = ({ fields, more }: Ask): string[] => [
  ...fields.map(({ name }) => name),
  ...(more?.passkey ? ['passkey'] : []),
  ...(fields.length === 0 && more?.sentTo !== undefined ? ['link'] : []),
]
