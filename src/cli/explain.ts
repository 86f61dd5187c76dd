import { type Command, parseFlags, UsageError } from './command.ts'
import { render } from './get.ts'
import { connectionFlags, connectionUsage, openRest } from './rest_client.ts'

interface Explained {
  application: { displayName: string }
  user: string
  isAllowed: boolean
  decision: 'public' | 'allowed' | 'refused' | 'closed'
  rule: string | null
  value: string | null
  reason: string | null
  groups: string[]
  acr: string | null
  requiredFactors: string[] | null
}

const sentence = ({ application, user, isAllowed, decision, rule, value, reason, groups, acr, requiredFactors }: Explained): string => {
  const name = application.displayName
  const by = rule === null ? '' : ` by ${rule}${value === null ? '' : ` (${value})`}`
  const first =
    decision === 'public'
      ? `Anyone may: the path is public${by}.`
      : decision === 'closed'
        ? `Nobody may: ${name} is closed. ${reason}`
        : isAllowed
          ? `${user} may use ${name}${by || ': it has no rule of access'}.`
          : `${user} may not use ${name}${by}: ${reason}.`
  const demands = [
    acr === null || acr === '1fa' ? [] : [`a sign-in worth ${acr}`],
    requiredFactors ? [`one of ${requiredFactors.join(', ')}`] : [],
  ].flat()
  return [
    first,
    ...(decision === 'allowed' && demands.length ? [`It takes ${demands.join(' and ')}.`] : []),
    ...(decision === 'closed' || decision === 'public' ? [] : [`Groups: ${groups.length ? groups.join(', ') : 'none'}.`]),
  ].join('\n')
}

export const command: Command = {
  usage: `USER APPLICATION [--path PATH] [--method METHOD] [--network ADDRESS] [--json]

Says whether a person may use an application, and which rule says so.

  USER                 username, e-mail address or id
  APPLICATION          name of the Application, or NAMESPACE/NAME
  --path PATH          of the request: it may be public; absent: rules on requests are taken to hold
  --method METHOD      of the request (GET)
  --network ADDRESS    where they come from; absent: rules on networks are taken to hold
  --json               the server's answer as it is
${connectionUsage}

Exit code 1 when the person may not.`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      path: { type: 'string' },
      method: { type: 'string' },
      network: { type: 'string' },
      json: { type: 'boolean' },
    })
    const [user, application, ...more] = positionals
    if (!user || !application || more.length) throw new UsageError('name a person and an application')
    const [first = '', second] = application.split('/')
    const [namespace, name] = second === undefined ? ['default', first] : [first, second]
    const query = new URLSearchParams({ user })
    if (values.path !== undefined) query.set('path', values.path)
    if (values.method !== undefined) query.set('method', values.method.toUpperCase())
    if (values.network !== undefined) query.set('network', values.network)
    const rest = await openRest(values, env)
    const { body } = await rest.call(
      'GET',
      `/api/v1/namespaces/${encodeURIComponent(namespace)}/applications/${encodeURIComponent(name)}/explain?${query}`,
    )
    const explained = body as Explained
    process.stdout.write(values.json === true ? render(explained, 'json') : `${sentence(explained)}\n`)
    return explained.isAllowed ? 0 : 1
  },
}
