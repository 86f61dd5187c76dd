/**
 * The line between an outpost that runs by itself and core: one long answer that it reads, and a word now and then that it is there. Whatever
 * breaks is begun anew, sooner at first and never all at once; a refusal of core's own is final.
 */
import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as TlsAgent } from 'node:https'
import { StringDecoder } from 'node:string_decoder'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import { beatMs } from '#/resources/outpost_beats.ts'
import { type FetchOptions, fetchAt } from './fetch_at.ts'
import { type Message, protocol } from './message.ts'

/** Core will have nothing of this outpost. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, detail: string) {
    super(detail)
    this.status = status
  }
}

export interface ConnectionOptions {
  log: Log
  clock: Clock
  /** Without a slash at its end. */
  server: string
  token: Secret
  version: string
  /** Which Outpost it is; undefined: the only one that the token may be. */
  outpost: string | undefined
  instance: string
  hostname: string
  agent: FetchOptions['agent']
  /** Where to go on. */
  seen: () => string
  generation: () => string | undefined
  take: (message: Message) => void
  /** Called once, and nothing more is tried. */
  onRefused: (refused: Refused) => void
}

export interface Connection {
  /** What was missed has been read. */
  isCurrent(): boolean
  /** The line is down, and a try to mend it has failed. */
  isAway(): boolean
  /** Milliseconds since 1970 of when the line came up or went down. */
  since(): number
  /** Of the server; undefined before the first. */
  serverVersion(): string | undefined
  /** As the server names it. */
  outpost(): string | undefined
  /** Asks core for something. Throws Refused for its refusals, another error where it can't be asked. */
  post(path: string, body: object): Promise<unknown>
  close(): void
}

/** Nothing came, not even a beat. */
const silentMs = 8_000
const answerWithinMs = 10_000
const firstPauseMs = 250
const longestPauseMs = 15_000
/** Of one line: the whole of a configuration. */
const longestLine = 32 * 1_024 * 1_024
const isFinal = (status: number): boolean => status === 401 || status === 403 || status === 404

export const pauseBefore = (failures: number, random: number): number =>
  Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 20)) * (0.5 + random / 2)

export const openConnection = (options: ConnectionOptions): Connection => {
  const { log, clock, server, token, version, instance, hostname, agent, take } = options
  const headers = { authorization: `Bearer ${token.reveal()}`, accept: 'application/x-ndjson, application/json' }
  // Without its beat it counts as dead, so that waits behind nothing.
  const beatAgent = new (server.startsWith('https:') ? TlsAgent : Agent)({ keepAlive: true, maxSockets: 1 })
  let { outpost } = options
  let running: ClientRequest | undefined
  let isCurrent = false
  let hasBeenCurrent = false
  let failures = 0
  let since = clock().getTime()
  let serverVersion: string | undefined
  let closed = false
  let retry: NodeJS.Timeout | undefined

  const refuse = (refused: Refused): void => {
    if (closed) return
    close()
    options.onRefused(refused)
  }

  const down = (reason: string): void => {
    if (closed) return
    if (isCurrent) since = clock().getTime()
    // One that broke is mended at once; only what can't be is told and waited for.
    if (!isCurrent) failures++
    log[isCurrent || failures === 1 ? 'warn' : 'debug'](
      { event: 'outpost.core.away', reason: reason.slice(0, 300), failures },
      'core is away',
    )
    isCurrent = false
    clearTimeout(retry)
    retry = setTimeout(connect, pauseBefore(failures, Math.random()))
  }

  const hear = (message: Message): void => {
    if (message.type === 'hello') {
      if (message.protocol !== protocol) throw new Refused(409, `the server speaks protocol ${message.protocol}, this outpost ${protocol}`)
      outpost = message.outpost
      if (message.version !== version && message.version !== serverVersion)
        log.warn(
          { event: 'outpost.version.differs', server: message.version, own: version },
          'the server has another version than this outpost',
        )
      serverVersion = message.version
    } else if (message.type === 'current') {
      failures = 0
      isCurrent = true
      hasBeenCurrent = true
      since = clock().getTime()
      log.info(
        { event: 'outpost.core.connected', 'signet.outpost': outpost, server_version: serverVersion, own_version: version },
        'connected to core',
      )
    }
    take(message)
    if (message.type === 'current') beat()
  }

  const connect = (): void => {
    if (closed) return
    const url = new URL(`${server}/api/v1/outposts/stream`)
    const asked = {
      protocol: String(protocol),
      version,
      instance,
      hostname,
      after: options.seen(),
      ...(outpost === undefined ? {} : { outpost }),
    }
    for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value)
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    // A connection of its own, so that nothing waits behind it.
    const out = send(url, { headers, agent: false })
    running = out
    let isOver = false
    const over = (reason: string): void => {
      if (isOver) return
      isOver = true
      clearTimeout(silence)
      out.destroy()
      if (running === out) down(reason)
    }
    let silence = setTimeout(() => over('core does not answer'), answerWithinMs)
    out.once('error', (error: NodeJS.ErrnoException) => over(error.code ?? error.message))
    out.once('response', (answer) => {
      const refill = () => {
        clearTimeout(silence)
        silence = setTimeout(() => over('core has fallen silent'), silentMs)
      }
      refill()
      answer.once('error', (error) => over(error.message))
      if (answer.statusCode !== 200 || !answer.headers['content-type']?.startsWith('application/x-ndjson')) {
        readRefusal(answer.statusCode ?? 0, answer).then(
          (refused) => {
            if (isOver) return
            // Of servers of several versions another one may take it; what never was taken will not be.
            if (refused && (isFinal(refused.status) || (!hasBeenCurrent && (refused.status === 409 || refused.status === 400)))) {
              isOver = true
              clearTimeout(silence)
              out.destroy()
              refuse(refused)
            } else over(refused?.message ?? `core answered ${answer.statusCode}`)
          },
          (error: Error) => over(error.message),
        )
        return
      }
      answer.once('close', () => over('core ended the stream'))
      const decoder = new StringDecoder('utf8')
      let rest: string[] = []
      let length = 0
      answer.on('data', (chunk: Buffer) => {
        refill()
        const lines = decoder.write(chunk).split('\n')
        const last = lines.pop() ?? ''
        try {
          for (const line of lines) {
            const whole = rest.length ? rest.join('') + line : line
            rest = []
            length = 0
            if (whole !== '') hear(parseMessage(whole))
          }
        } catch (error) {
          log.error({ event: 'outpost.stream.unread', error: (error as Error).message.slice(0, 300) }, 'what core says is not understood')
          over('what core says is not understood')
          return
        }
        if (last === '') return
        rest.push(last)
        length += last.length
        if (length > longestLine) over('core says more than is taken')
      })
    })
    out.end()
  }

  const postOver = async (over: FetchOptions['agent'], path: string, body: object): Promise<unknown> => {
    const answer = await fetchAt(
      `${server}/api/v1/outposts/${path}`,
      {
        method: 'POST',
        headers: { authorization: headers.authorization, accept: 'application/json', 'content-type': 'application/json' },
        body: JSON.stringify({ ...body, ...(outpost === undefined ? {} : { outpost }) }),
      },
      { agent: over },
    )
    if (answer.status === 204) return undefined
    if (answer.status === 200) return await answer.json()
    const refused = refusalOf(answer.status, answer.headers.get('content-type'), await answer.text())
    throw refused ?? new Error(`core answered ${answer.status}`)
  }

  /** What it works by shows with the first, at once. */
  const beat = (): void => {
    if (!isCurrent) return
    const line = running
    postOver(beatAgent, 'beat', { instance, generation: options.generation() ?? null }).catch((error: Error) => {
      if (!(error instanceof Refused)) return
      if (isFinal(error.status)) refuse(error)
      else if (error.status === 409 && line === running) line?.destroy()
    })
  }
  const beating = setInterval(beat, beatMs)

  const close = (): void => {
    closed = true
    clearInterval(beating)
    clearTimeout(retry)
    running?.destroy()
    beatAgent.destroy()
  }

  connect()
  return {
    isCurrent: () => isCurrent,
    isAway: () => !isCurrent && failures > 0,
    since: () => since,
    serverVersion: () => serverVersion,
    outpost: () => outpost,
    post: (path, body) => postOver(agent, path, body),
    close,
  }
}

/** What is wrong with it is not told in the words of the parser, which quotes what it read: keys stand there. */
const parseMessage = (line: string): Message => {
  try {
    return JSON.parse(line) as Message
  } catch {
    throw new Error(`a line of ${line.length} characters is no JSON`)
  }
}

/** Undefined for what core itself does not say, but something on the way to it. */
const refusalOf = (status: number, contentType: string | null | undefined, text: string): Refused | undefined => {
  if (!contentType?.startsWith('application/problem+json')) return undefined
  try {
    const { detail, title } = JSON.parse(text) as { detail?: unknown; title?: unknown }
    return new Refused(status, String(detail ?? title).slice(0, 1_000))
  } catch {
    return undefined
  }
}

const readRefusal = async (status: number, answer: IncomingMessage): Promise<Refused | undefined> => {
  let text = ''
  for await (const chunk of answer) {
    text += String(chunk)
    if (text.length > 64 * 1_024) return undefined
  }
  return refusalOf(status, answer.headers['content-type'], text)
}
