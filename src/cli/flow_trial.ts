/** `signet flow try`: what a flow would ask of a person. */
import { columns, render } from './get.ts'
import type { Rest } from './rest_client.ts'

interface Trial {
  flow: { namespace: string; name: string }
  user: string
  stages: {
    stage: string
    turn: 'comes' | 'left_out' | 'broken' | 'not_reached'
    when: string | null
    outcome: 'asked' | 'passed' | 'stuck' | 'denied' | null
    asks: string[]
    factors: string[]
    reason: string | null
  }[]
  end: {
    kind: 'signed_in' | 'passed' | 'denied' | 'stuck' | 'broken'
    acr: string | null
    amr: string[]
    wanted: string[]
    requiredFactors: string[] | null
    isEnough: boolean
    letsIn: boolean | null
    reason: string | null
    retryAfter: number | null
    field: string | null
  }
}

/** Answers the exit code: 1 when they would not get through, not with what is wanted, or not into the application. */
export const tryFlow = async (rest: Rest, name: string, body: object, isJson: boolean): Promise<number> => {
  const answer = await rest.call('POST', `/api/v1/flows/${encodeURIComponent(name)}/try`, { body: JSON.stringify(body) })
  const trial = answer.body as Trial
  process.stdout.write(isJson ? render(trial, 'json') : `${table(trial)}\n${ending(trial)}\n`)
  return ['signed_in', 'passed'].includes(trial.end.kind) && trial.end.isEnough && trial.end.letsIn !== false ? 0 : 1
}

const table = ({ stages }: Trial): string =>
  columns([
    ['', 'STAGE', 'TURN', 'WHAT'],
    ...stages.map((stage, index) => [String(index + 1), stage.stage, stage.turn.replaceAll('_', ' '), whatOf(stage)]),
  ])

const whatOf = ({ turn, when, outcome, asks, factors, reason }: Trial['stages'][number]): string => {
  if (turn === 'left_out') return `unless ${oneLine(when)}`
  if (turn === 'broken') return `when ${oneLine(when)}`
  if (turn === 'not_reached') return ''
  if (outcome === 'denied') return `denies (${reason})`
  const asked = outcome === 'passed' ? 'asks for nothing' : `asks for ${asks.length ? asks.join(' or ') : 'a yes'}`
  if (outcome === 'stuck') return `${asked}: stuck (${reason})`
  return factors.length ? `${asked}: ${factors.join(', ')}` : asked
}

const oneLine = (text: string | null): string => (text ?? '').replaceAll(/\s+/g, ' ').trim()

const ending = ({ flow, user, end }: Trial): string => {
  const { kind, acr, amr, isEnough, letsIn, reason, retryAfter, field } = end
  switch (kind) {
    case 'signed_in':
      return `${user} is signed in${isEnough ? '' : `, but falls short of ${wantedOf(end)}`}: acr ${acr}, amr ${amr.join(' ')}${letsIn === false ? '; the application keeps them out' : ''}`
    case 'passed':
      return `${user} gets through`
    case 'stuck':
      return `${user} is stuck: ${reason}${retryAfter === null ? '' : `, for ${Math.ceil(retryAfter / 60)} minutes`}`
    case 'denied':
      return `${user} is denied: ${reason}`
    case 'broken':
      return `${user} is refused: Flow ${flow.namespace}/${flow.name} ${field} fails: ${oneLine(reason)}`
  }
}

const wantedOf = ({ wanted, requiredFactors }: Trial['end']): string =>
  [...(wanted.length ? [wanted.join(' or ')] : []), ...(requiredFactors ? [`a factor of ${requiredFactors.join(', ')}`] : [])].join(' and ')
