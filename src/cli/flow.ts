import { type Command, parseFlags, UsageError } from './command.ts'
import { listAttempts, showAttempt } from './flow_attempts.ts'
import { tryFlow } from './flow_trial.ts'
import { connectionFlags, connectionUsage, openRest } from './rest_client.ts'

const words = (text: string): string[] => text.split(',').filter(Boolean)

export const command: Command = {
  usage: `try NAME --as USER [--amr M,…] [--acr ACR,…] [--network ADDRESS] [--client ID]
       signet flow attempts [--user USER] [--flow NAME] [--state running|passed|denied]
       signet flow attempt ID

  try                  what a flow would ask of a person and how it would end; nobody is asked, nothing is written or sent
  --as USER            username, e-mail address or id
  --amr M,…            what they have proven already, on a session: of pwd, otp, hwk, swk, user
  --acr ACR,…          what the client asks for: 1fa, 2fa, phr
  --network ADDRESS    where they come from
  --user-agent TEXT    of their browser
  --client ID          client_id of the client they come from, whose policy and Applications count
  --factor TYPE        what they prove it by, where they have a choice: totp, static, webauthn, email
  --auth-server NS/N   AuthServer they are at; default: the one whose address the server has

  attempts             who goes through a flow now; a name with ? behind it was only typed
  attempt              where one of them stands, and what the stages to come would do

  --json               the server's answer as it is
${connectionUsage}

Exit code of try: 1 when the person would not get through, or not with the acr that is wanted.`,
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
      user: { type: 'string' },
      flow: { type: 'string' },
      state: { type: 'string' },
      json: { type: 'boolean' },
    })
    const [action, subject, ...more] = positionals
    const isJson = values.json === true
    if (action === 'try' && subject !== undefined && more.length === 0) {
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
      return tryFlow(await openRest(values, env), subject, body, isJson)
    }
    if (action === 'attempts' && subject === undefined) {
      const { user, flow, state } = values
      return listAttempts(await openRest(values, env), { user, flow, state }, isJson)
    }
    if (action === 'attempt' && subject !== undefined && more.length === 0) return showAttempt(await openRest(values, env), subject, isJson)
    throw new UsageError('wants try NAME --as USER, attempts, or attempt ID')
  },
}
