import { type Command, parseFlags, UsageError } from './command.ts'
import { columns, render } from './get.ts'
import { connectionFlags, connectionUsage, openRest } from './rest_client.ts'

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
    reason: string | null
    retryAfter: number | null
    field: string | null
  }
}

const words = (text: string): string[] => text.split(',').filter(Boolean)

export const command: Command = {
  usage: `try NAME --as USER [--amr M,…] [--acr ACR,…] [--network ADDRESS] [--client ID] [--json]

  try                  what a flow would ask of a person and how it would end; nobody is asked, nothing is written or sent
  --as USER            username, e-mail address or id
  --amr M,…            what they have proven already, on a session: of pwd, otp, hwk, swk, user
  --acr ACR,…          what the client asks for: 1fa, 2fa, phr
  --network ADDRESS    where they come from
  --user-agent TEXT    of their browser
  --client ID          client_id of the client they come from, whose policy counts
  --factor TYPE        what they prove it by, where they have a choice: totp, static, webauthn, email
  --auth-server NS/N   AuthServer they are at; default: the one whose address the server has
  --json               the server's answer as it is
${connectionUsage}

Exit code 1 when the person would not get through, or not with the acr that is wanted.`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      as: { type: 'string' },
      amr: { type: 'string' },
      acr: { type: 'string' },
      network: { type: 'string' },
      'user-agent': { type: 'string' },
      client: { type: 'string' },
      factor: { type: 'string' },
      'auth-server': { type: 'string' },
      json: { type: 'boolean' },
    })
    const [action, name, ...rest] = positionals
    if (action !== 'try' || name === undefined || rest.length) throw new UsageError('wants try NAME --as USER')
    if (!values.as) throw new UsageError('name the person with --as')
    const { network, client, factor } = values
    const body = {
      user: values.as,
      network,
      client,
      factor,
      userAgent: values['user-agent'],
      authServer: values['auth-server'],
      amr: words(values.amr ?? ''),
      acr_values: words(values.acr ?? ''),
    }
    const server = await openRest(values, env)
    const answer = await server.call('POST', `/api/v1/flows/${encodeURIComponent(name)}/try`, { body: JSON.stringify(body) })
    const trial = answer.body as Trial
    process.stdout.write(values.json ? render(trial, 'json') : `${table(trial)}\n${ending(trial)}\n`)
    return ['signed_in', 'passed'].includes(trial.end.kind) && trial.end.isEnough ? 0 : 1
  },
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
  const { kind, acr, amr, isEnough, reason, retryAfter, field } = end
  switch (kind) {
    case 'signed_in':
      return `${user} is signed in${isEnough ? '' : `, but falls short of ${wantedOf(end)}`}: acr ${acr}, amr ${amr.join(' ')}`
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
