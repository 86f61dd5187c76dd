/**
 * What an administrator is told of an attempt: where it stands, what became of its stages, and what those to come would do as things are now.
 * Nothing with which it could be continued, nothing that is kept sealed, and of what was entered only the names of the fields.
 */
import type { AuthServerRef } from '#/lib/http.ts'
import { attemptIdOf, type InspectedFlowAttempt } from '#/model/flow_attempts.ts'
import { acrOf } from '#/policy/acr.ts'
import { turnOf } from './conditions.ts'
import { type Flow, findFlow } from './flows.ts'
import type { Context, Facts, FlowDeps } from './stage.ts'
import type { StageName } from './stages/index.ts'
import { openAttemptStates } from './state.ts'
import { type Passage, passagesOf } from './trail.ts'

export const stageStates = [
  'answered',
  'passed',
  'left_out',
  'current',
  'to_come',
  'to_be_left_out',
  'broken',
  'ended_here',
  'not_reached',
] as const

export interface InspectedStage {
  stage: StageName
  state: Passage | (typeof stageStates)[number]
  /** Why its condition fails. */
  reason?: string
}

export interface Summary {
  id: string
  flow: string
  issuer: string
  state: InspectedFlowAttempt['state']
  reason: string | null
  /** The current one; null when it is over, or its flow is gone. */
  stage: StageName | null
  /** `isKnown`: they have proven something. Before that the name is what was typed, or whom it was begun for. */
  user: { id: string | null; name: string | null; isKnown: boolean }
  client: Context['client']
  network: string | null
  userAgent: string | null
  amr: string[]
  acr: string | null
  createdAt: Date
  expiresAt: Date
}

export interface Inspection extends Summary {
  /** False: it is over, its flow or the password it knows has changed, or its row was not written by Signet. */
  canGoOn: boolean
  stages: InspectedStage[]
  facts: Facts
  context: Context
}

type InspectionDeps = Pick<FlowDeps, 'snapshot'>

export const summaryOf = (deps: InspectionDeps, row: InspectedFlowAttempt): Summary => summary(row, flowOf(deps, row))

export const inspectAttempt = async (deps: FlowDeps, row: InspectedFlowAttempt, now: Date): Promise<Inspection> => {
  const flow = flowOf(deps, row)
  const isRunning = row.state === 'running'
  const states = openAttemptStates(deps.rootSecret)
  const isOurs = states.isOurs({ ...row, revision: isRunning ? (flow?.revision ?? '') : '' })
  const canGoOn = isRunning && flow !== undefined && isOurs && row.is_of_other_password !== true
  const stages = !flow || (isRunning && !isOurs) ? [] : isRunning ? await running(deps, { flow, row, now }) : over(flow, row)
  return { ...summary(row, flow), canGoOn, stages, facts: factsOf(row), context: contextOf(row) }
}

// Both columns are written by this folder alone.
const factsOf = ({ facts }: InspectedFlowAttempt) => facts as Facts
const contextOf = ({ context }: InspectedFlowAttempt) => context as Context

const summary = (row: InspectedFlowAttempt, flow: Flow | undefined): Summary => {
  const { username, user_id, amr = [], acr } = factsOf(row)
  const { user, client } = contextOf(row)
  return {
    id: attemptIdOf(row),
    flow: row.flow_name,
    issuer: row.issuer,
    state: row.state,
    reason: row.reason,
    stage: (row.state === 'running' ? flow?.stages[row.stage_index]?.stage : undefined) ?? null,
    user: { id: user_id ?? user?.user_id ?? null, name: username ?? user?.name ?? null, isKnown: user_id !== undefined },
    client,
    network: row.network,
    userAgent: row.user_agent,
    amr,
    acr: acr ?? (amr.length ? acrOf(amr) : null),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }
}

const authServerOf = ({ snapshot }: InspectionDeps, { issuer }: InspectedFlowAttempt): AuthServerRef =>
  snapshot.authServers().find(({ issuerUrl }) => issuerUrl === issuer) ?? {
    namespace: 'default',
    name: 'default',
    issuerUrl: issuer,
    pathPrefix: '',
  }

const flowOf = (deps: InspectionDeps, row: InspectedFlowAttempt) => findFlow(deps.snapshot, authServerOf(deps, row), row.flow_name)

const running = async (
  deps: FlowDeps,
  { flow, row, now }: { flow: Flow; row: InspectedFlowAttempt; now: Date },
): Promise<InspectedStage[]> => {
  const [facts, context] = [factsOf(row), contextOf(row)]
  const passages = passagesOf(facts.trail, row.stage_index)
  // Of the next request as much as the first one told.
  const request = {
    authServer: authServerOf(deps, row),
    browser: undefined,
    session: undefined,
    network: row.network ?? '',
    userAgent: row.user_agent ?? undefined,
    requestId: '',
    locales: context.ui_locales ?? [],
  }
  const found: InspectedStage[] = []
  for (const [index, compiled] of flow.stages.entries()) {
    const { stage } = compiled
    const passage = passages[index]
    // An attempt begins at the first stage without a look at its `when`.
    const isCurrent = index === row.stage_index
    if (passage) found.push({ stage, state: passage })
    else if (isCurrent && row.version > 0) found.push({ stage, state: 'current' })
    else {
      const turn = await turnOf(deps, compiled, { facts, context, request, now })
      if (turn === 'comes') found.push({ stage, state: isCurrent ? 'current' : 'to_come' })
      else if (turn === 'left_out') found.push({ stage, state: 'to_be_left_out' })
      else found.push({ stage, state: 'broken', reason: turn.failed })
    }
  }
  return found
}

/** As the flow is now: which one it was when the attempt ended, nobody remembers. */
const over = ({ stages }: Flow, row: InspectedFlowAttempt): InspectedStage[] => {
  const passages = passagesOf(factsOf(row).trail, row.state === 'passed' ? stages.length : row.stage_index)
  return stages.map(({ stage }, index) => ({
    stage,
    state: passages[index] ?? (index === row.stage_index ? 'ended_here' : 'not_reached'),
  }))
}
