/** How commands reach a server: its address, the token, and refusals told in the words of the server. */
import { findKind, findKindByPlural, kinds } from '#/kinds/index.ts'
import type { Kind } from '#/kinds/kind.ts'
import { readSettings } from '#/lib/config.ts'
import type { FieldError } from '#/lib/problem.ts'
import type { Secret } from '#/lib/secret.ts'
import { type Environment, UsageError } from './command.ts'
import { findOwnerToken, findUpState } from './data_dir.ts'
import { send } from './send.ts'

export const connectionFlags = {
  server: { type: 'string' },
  token: { type: 'string' },
  'data-dir': { type: 'string' },
} as const

export const connectionUsage = `  --server URL         where the server is; default: SIGNET_SERVER, else the one of DATA_DIR that runs
  --token TOKEN        default: SIGNET_TOKEN, else the owner's token in DATA_DIR
  --data-dir FOLDER    default: SIGNET_DATA_DIR, else .signet`

export interface RestAnswer {
  status: number
  /** Undefined when the answer has no JSON. */
  body: unknown
}

export interface Rest {
  /** Throws with the server's own words for every status not in `expected`. */
  call(method: string, path: string, options?: { body?: string; contentType?: string; expected?: number[] }): Promise<RestAnswer>
}

type ConnectionValues = { [Flag in keyof typeof connectionFlags]?: string | undefined }

export const openRest = async (values: ConnectionValues, env: Environment): Promise<Rest> => {
  const flags = Object.fromEntries(Object.keys(connectionFlags).flatMap((flag) => given(flag, values[flag as keyof ConnectionValues])))
  const settings = readSettings(env, flags)
  const up = await findUpState(settings.DATA_DIR)
  const server = settings.SERVER ?? up?.server
  if (!server) throw new Error(`no server runs on ${settings.DATA_DIR}. Start one (signet up), or name one with --server and --token.`)
  // Any program of this machine can listen on a port that nobody has: only an `up` that holds the lock of the folder gets its token.
  const isOwn = up !== undefined && new URL(up.server).origin === new URL(server).origin
  const token = settings.TOKEN ?? (isOwn ? findOwnerToken(settings.DATA_DIR) : undefined)
  if (!token)
    throw new Error(
      isOwn
        ? `there is no token in ${settings.DATA_DIR}. Give one with --token or SIGNET_TOKEN.`
        : `the owner's token is not sent to ${server}, which is not ${up ? `${up.server}, the server of ${settings.DATA_DIR}` : `a server that runs on ${settings.DATA_DIR}`}. Give a token with --token or SIGNET_TOKEN.`,
    )
  return {
    call: (method, path, options) =>
      call({ server, token, ...(isOwn ? { connect: up.connect, port: up.port } : {}) }, { method, path, ...options }),
  }
}

const given = (flag: string, value: string | undefined): [string, string][] => (value === undefined ? [] : [[flag, value]])

interface Call {
  method: string
  path: string
  body?: string
  contentType?: string
  expected?: number[]
}

const patienceMs = 120_000

const call = async (
  { server, token, connect, port }: { server: string; token: Secret; connect?: string; port?: number | undefined },
  { method, path, body, contentType, expected = [200, 201, 204] }: Call,
): Promise<RestAnswer> => {
  const { status, text } = await send(port === undefined ? server + path : local(server + path, { connect, port }), {
    method,
    connect,
    patienceMs,
    headers: {
      authorization: `Bearer ${token.reveal()}`,
      accept: 'application/json',
      ...(port === undefined ? {} : { host: new URL(server).host }),
      ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
  }).catch((error: Error) => {
    throw new Error(`${server} does not answer (${(error as NodeJS.ErrnoException).code ?? error.message})`)
  })
  const parsed = parse(text)
  if (!expected.includes(status)) throw refusal(status, parsed)
  return { status, body: parsed }
}

/** The same at the listener of our own, whatever the name in the address leads to: the token goes nowhere else. */
const local = (address: string, { connect = '127.0.0.1', port }: { connect: string | undefined; port: number }): string => {
  const { pathname, search } = new URL(address)
  return `http://${connect.includes(':') ? `[${connect}]` : connect}:${port}${pathname}${search}`
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const refusal = (status: number, body: unknown): Error => {
  const { title, detail, errors = [] } = (body ?? {}) as { title?: string; detail?: string; errors?: FieldError[] }
  const lines = errors.map(({ pointer, detail: what }) => `\n  ${pointer || '/'}: ${what}`)
  return new Error(`${detail ?? title ?? `the server answered ${status}`} (${status})${lines.join('')}`)
}

/** By kind, plural, singular or short name. */
export const kindOf = (name: string): Kind => {
  const lower = name.toLowerCase()
  const found =
    findKind(name) ??
    findKindByPlural(lower) ??
    Object.values(kinds).find(({ singular, shortName }) => singular === lower || shortName === lower)
  if (!found) throw new UsageError(`there is no kind ${name}; there are ${Object.keys(kinds).join(', ')}`)
  return found
}

export const resourcePath = (kind: Kind, namespace: string, name?: string): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/${kind.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`

/** Every page of a list. */
export const listAll = async (rest: Rest, path: string, query: Record<string, string> = {}): Promise<unknown[]> => {
  const items: unknown[] = []
  let cursor: string | undefined
  do {
    const search = new URLSearchParams({ ...query, limit: '500', ...(cursor === undefined ? {} : { cursor }) })
    const { body } = await rest.call('GET', `${path}?${search}`)
    const page = body as { items: unknown[]; next: string | null }
    items.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return items
}
