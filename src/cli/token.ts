import { type Command, parseFlags, UsageError } from './command.ts'
import { columns } from './get.ts'
import { connectionFlags, connectionUsage, listAll, openRest, type Rest } from './rest_client.ts'

interface Shown {
  id: string
  name: string
  user: string | null
  expiresAt: string | null
  lastUsedAt: string | null
}

const words = (text: string): string[] => text.split(',').filter(Boolean)

export const command: Command = {
  usage: `create NAME [--kinds K,…] [--namespaces NS,…] [--verbs V,…] [--expires-in DURATION] [--user NAME]  |  list  |  delete ID

  create               prints the token, the only time it is shown
  --kinds K,…          kinds and other things it is for; default: all that you may
  --namespaces NS,…    namespaces it is for
  --verbs V,…          of get, list, create, update, delete
  --expires-in 720h    default: never
  --user NAME          its owner, whose rights bound it
${connectionUsage}`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      kinds: { type: 'string' },
      namespaces: { type: 'string' },
      verbs: { type: 'string' },
      'expires-in': { type: 'string' },
      user: { type: 'string' },
    })
    const [action, subject, ...rest] = positionals
    if (rest.length) throw new UsageError(`there is nothing to be done with ${rest.join(' ')}`)
    if (action === 'list' && subject === undefined) return list(await openRest(values, env))
    if (action === 'create' && subject !== undefined) {
      const { kinds, namespaces, verbs, user } = values
      const isScoped = kinds !== undefined || namespaces !== undefined || verbs !== undefined
      const scope = {
        ...(kinds === undefined ? {} : { kinds: words(kinds) }),
        ...(namespaces === undefined ? {} : { namespaces: words(namespaces) }),
        ...(verbs === undefined ? {} : { verbs: words(verbs) }),
      }
      const body = { name: subject, ...(isScoped ? { scope } : {}), ...(user ? { user } : {}), ...expiry(values['expires-in']) }
      const answer = await (await openRest(values, env)).call('POST', '/api/v1/tokens', { body: JSON.stringify(body) })
      process.stdout.write(`${(answer.body as { token: string }).token}\n`)
      return 0
    }
    if (action === 'delete' && subject !== undefined) {
      await (await openRest(values, env)).call('DELETE', `/api/v1/tokens/${encodeURIComponent(subject)}`)
      process.stdout.write(`token ${subject} deleted\n`)
      return 0
    }
    throw new UsageError('wants create NAME, list, or delete ID')
  },
}

const expiry = (duration: string | undefined) => (duration === undefined ? {} : { expiresIn: duration })

const list = async (rest: Rest): Promise<number> => {
  const tokens = (await listAll(rest, '/api/v1/tokens')) as Shown[]
  process.stdout.write(
    columns([
      ['ID', 'NAME', 'USER', 'EXPIRES', 'LAST USED'],
      ...tokens.map(({ id, name, user, expiresAt, lastUsedAt }) => [id, name, user ?? '', expiresAt ?? 'never', lastUsedAt ?? 'never']),
    ]),
  )
  return 0
}
