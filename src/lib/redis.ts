/**
 * Redis or Valkey, by which processes tell one another what they could also find out without it. So whatever it does, nobody here waits for it or
 * fails: what can't be said now is dropped, a connection that is silent is replaced, and the log tells once that it is away and once that it is back.
 * One connection does all (RESP3). The library is loaded where an address is set, and nowhere else.
 */
import { isIP, type Socket } from 'node:net'
import type { Log } from './log.ts'
import { parseRedisUrl, redisUrlWanted } from './redis_url.ts'
import type { Secret } from './secret.ts'

export interface Listener {
  heard(message: Buffer): void
  /** After each time away: what was said meanwhile is lost. */
  back(): void
}

export interface Redis {
  /** To whoever listens on the channel just now. Dropped while Redis is away, or can't keep up. */
  publish(channel: string, message: Buffer): void
  /** One for each channel; answers how to stop. */
  subscribe(channel: string, listener: Listener): () => void
  isConnected(): boolean
  close(): void
}

const askEveryMs = 5_000
const shortestPauseMs = 100
const longestPauseMs = 5_000
/** One that has held so long was a good one: the next pauses are short again. */
const steadyAfterMs = 10_000
/** So that one that comes and goes does not fill the log. */
const tellEveryMs = 60_000
/** Bytes said that Redis has not answered. */
const mostUnanswered = 4 * 1_024 * 1_024
/** Bytes that come without being a message: the parser keeps all of one, whoever wrote it. */
const mostIncoming = 8 * 1_024 * 1_024

export interface RedisOptions {
  url: Secret
  log: Log
  /** Until a connection is there, and until an answer is. */
  patienceMs?: number
}

export const openRedis = async ({ url, log, patienceMs = 3_000 }: RedisOptions): Promise<Redis> => {
  const address = parseRedisUrl(url.reveal())
  if (!address) throw new Error(redisUrlWanted)
  const Client = await loadClient()
  const { host, port, tls, user, password } = address
  const listeners = new Map<string, Listener>()
  let connectedAt: number | undefined
  let failures = 0
  let reason = ''
  let isClosed = false
  let unanswered = 0
  let incoming = 0
  let dropped: Socket | undefined

  const client = new Client({
    host,
    port,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(tls ? { tls: isIP(host) ? {} : { servername: host } } : {}),
    protocol: 3,
    connectionName: 'signet',
    // Each would ask for more rights than are needed.
    enableReadyCheck: false,
    disableClientInfo: true,
    // Nothing waits for Redis.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    connectTimeout: patienceMs,
    commandTimeout: patienceMs,
    disconnectTimeout: 500,
    retryStrategy: () => {
      const pause = Math.min(shortestPauseMs * 2 ** failures++, longestPauseMs)
      return pause * (0.5 + Math.random() / 2)
    },
  })

  const told = openTelling(log, { 'server.address': host, 'server.port': port })
  /** The connection that failed, and none that came after it. */
  const drop = (stream: Socket, why: string): void => {
    if (client.stream !== stream || dropped === stream || client.status !== 'ready' || isClosed) return
    dropped = stream
    reason = why
    client.disconnect(true)
  }

  const begin = async (): Promise<void> => {
    const stream = client.stream as Socket
    try {
      for (const channel of listeners.keys()) await client.subscribe(channel)
      await client.ping()
      // It was spoken to as one of before RESP3, where a connection that listens can't speak.
      if (client.mode === 'subscriber') return drop(stream, 'it is older than Redis 6')
    } catch (error) {
      return drop(stream, reasonOf(error as Error))
    }
    if (client.stream !== stream || isClosed) return
    connectedAt = performance.now()
    if (told.isBack()) for (const { back } of listeners.values()) back()
  }

  client.on('connect', () => {
    const stream = client.stream as Socket
    incoming = 0
    // After the parser, which has told of what the chunk makes whole.
    stream.on('data', (chunk: Buffer) => {
      incoming += chunk.length
      if (incoming > mostIncoming) {
        reason = 'it sent more than was asked for'
        stream.destroy()
      }
    })
  })
  client.on('messageBuffer', (channel: Buffer, message: Buffer) => {
    incoming = 0
    listeners.get(channel.toString())?.heard(message)
  })
  client.on('ready', () => void begin())
  client.on('error', (error: Error) => {
    reason = reasonOf(error)
  })
  client.on('close', () => {
    if (connectedAt !== undefined && performance.now() - connectedAt > steadyAfterMs) failures = 0
    connectedAt = undefined
    unanswered = 0
    if (!isClosed) told.isAway(reason || 'the connection ended')
    reason = ''
  })
  // The library gives up where a connection can't even be begun.
  client.on('end', () => {
    if (!isClosed) setTimeout(() => isClosed || client.connect().catch(() => {}), longestPauseMs).unref()
  })
  const asking = setInterval(() => {
    if (connectedAt === undefined) return
    incoming = 0
    const stream = client.stream as Socket
    client.ping().catch((error: Error) => drop(stream, reasonOf(error)))
  }, askEveryMs)
  asking.unref()

  return {
    publish: (channel, message) => {
      if (connectedAt === undefined || unanswered + message.length > mostUnanswered) return
      const stream = client.stream as Socket
      unanswered += message.length
      client
        .publish(channel, message)
        .catch((error: Error) => drop(stream, reasonOf(error)))
        .finally(() => {
          if (client.stream === stream) unanswered = Math.max(0, unanswered - message.length)
        })
    },
    subscribe: (channel, listener) => {
      listeners.set(channel, listener)
      // Also while it begins, which may have passed over a channel that comes now.
      if (client.status === 'ready') {
        const stream = client.stream as Socket
        client.subscribe(channel).catch((error: Error) => drop(stream, reasonOf(error)))
      }
      return () => {
        listeners.delete(channel)
        if (client.status === 'ready') client.unsubscribe(channel).catch(() => {})
      }
    },
    isConnected: () => connectedAt !== undefined,
    close: () => {
      isClosed = true
      connectedAt = undefined
      clearInterval(asking)
      client.disconnect()
    },
  }
}

/**
 * The library throws where nobody can catch it, and so ends the process, when an answer is of a shape that it does not expect, such as +OK to SUBSCRIBE:
 * whoever stands between us and Redis could end us. Here such an answer ends the connection, as one does that it can't read at all.
 */
const loadClient = async () => {
  const [{ Redis: Client }, handling] = await Promise.all([import('ioredis'), import('ioredis/built/DataHandler.js')])
  // What Node makes of a module of CommonJS, and its types do not say.
  const { default: DataHandler } = handling.default as unknown as { default: { prototype: Dispatching } }
  DataHandler.prototype.dispatch = function (work) {
    try {
      work()
    } catch (error) {
      this.returnFatalError(error as Error)
    }
  }
  return Client
}

interface Dispatching {
  dispatch(work: () => void): void
  returnFatalError(error: Error): void
}

const refuses = 'it answers'

/** Never in Redis's own words: some of its answers repeat what it was sent, the password among it. */
const reasonOf = (error: Error & { code?: unknown }): string => {
  if (typeof error.code === 'string') return error.code
  if (error.name === 'ReplyError') return `${refuses} ${/^[A-Z]{2,20}\b/.exec(error.message)?.[0] ?? 'with an error'}`
  if (error.message === 'Command timed out') return 'it does not answer'
  return 'the connection ended'
}

const said = { away: 'Redis is away', refused: 'Redis refuses us: see to user, password and rights of REDIS_URL' }

const openTelling = (log: Log, where: Record<string, string | number>) => {
  let isAway = false
  /** Of the time away: it does not end by itself where Redis refuses us. */
  const told = new Set<'away' | 'refused'>()
  const toldAt = { away: -tellEveryMs, refused: -tellEveryMs }
  return {
    isAway: (reason: string): void => {
      isAway = true
      const kind = reason.startsWith(refuses) ? 'refused' : 'away'
      if (told.has(kind) || performance.now() - toldAt[kind] < tellEveryMs) return
      told.add(kind)
      toldAt[kind] = performance.now()
      log.warn({ event: `redis.${kind}`, reason, ...where }, `${said[kind]}; Signet goes on without it, and tries again`)
    },
    /** Whether it was away. */
    isBack: (): boolean => {
      const wasAway = isAway
      if (!wasAway) log.info({ event: 'redis.connected', ...where }, 'connected to Redis')
      else if (told.size) log.info({ event: 'redis.back', ...where }, 'Redis is back')
      isAway = false
      told.clear()
      return wasAway
    },
  }
}
