/** `signet flow attempts` and `signet flow attempt`: who goes through a flow, and where they stand. */
import { columns, render } from './get.ts'
import { listAll, type Rest } from './rest_client.ts'

interface Listed {
  id: string
  flow: string
  state: string
  reason: string | null
  stage: string | null
  user: { name: string | null; isKnown: boolean }
  clientId: string | null
  network: string | null
  amr: string[]
  acr: string | null
  createdAt: string
}

interface Shown extends Listed {
  canGoOn: boolean
  stages: { stage: string; state: string; reason: string | null }[]
  events: { time: string; action: string; data: { stage?: string; reason?: string } | null }[] | null
}

export interface Filter {
  user?: string | undefined
  flow?: string | undefined
  state?: string | undefined
}

export const listAttempts = async (rest: Rest, filter: Filter, isJson: boolean): Promise<number> => {
  const query = Object.fromEntries(Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
  const items = (await listAll(rest, '/api/v1/flow-attempts', query)) as Listed[]
  const rows = items.map(({ id, flow, state, stage, user, clientId, network, createdAt }) =>
    [id, flow, state, stage, nameOf(user), clientId, network, createdAt].map((word) => word ?? ''),
  )
  process.stdout.write(
    isJson ? render({ items }, 'json') : columns([['ID', 'FLOW', 'STATE', 'STAGE', 'USER', 'CLIENT', 'NETWORK', 'BEGUN'], ...rows]),
  )
  return 0
}

export const showAttempt = async (rest: Rest, id: string, isJson: boolean): Promise<number> => {
  const attempt = (await rest.call('GET', `/api/v1/flow-attempts/${encodeURIComponent(id)}`)).body as Shown
  process.stdout.write(isJson ? render(attempt, 'json') : pageOf(attempt))
  return 0
}

/** What was typed by someone who has proven nothing yet may be anybody's name. */
const nameOf = ({ name, isKnown }: Listed['user']): string => (name === null ? '' : isKnown ? name : `${name}?`)

const pageOf = ({ flow, state, reason, user, clientId, network, amr, acr, createdAt, canGoOn, stages, events }: Shown): string => {
  const isStale = state === 'running' && !canGoOn
  const facts = columns(
    [
      ['flow', flow],
      [
        'state',
        `${state}${reason === null ? '' : ` (${reason})`}${isStale ? ', and can not go on: the flow or the password has changed' : ''}`,
      ],
      ['user', nameOf(user)],
      ['client', clientId ?? ''],
      ['network', network ?? ''],
      ['proven', acr === null ? '' : `${amr.join(' ')} (${acr})`],
      ['begun', createdAt],
    ].filter(([, value]) => value !== ''),
  )
  const rows = stages.map((stage, index) => [String(index + 1), stage.stage, stage.state.replaceAll('_', ' '), stage.reason ?? ''])
  const told = (events ?? []).map(({ action, data, time }) => [action, data?.stage ?? '', data?.reason ?? '', time])
  return [
    facts,
    ...(rows.length ? [`\n${columns([['', 'STAGE', 'STATE', ''], ...rows])}`] : []),
    ...(told.length ? [`\n${columns([['EVENT', 'STAGE', 'REASON', 'TIME'], ...told])}`] : []),
  ].join('')
}
