/**
 * What a server has heard of endings and people it tells the others by Redis too, for one that hears no notice of PostgreSQL: behind a pooler that
 * hands on none, or cut off from its database. What came this way is told to the outposts and never passed on.
 *
 * Redis may belong to others as well. So messages are sealed under a key of the root secret: whoever can write there can neither end a session nor
 * read whose ended, and installations that share it hear nothing of one another, a copy of our own database least of all. What was sealed once can
 * only be sent again: within minutes it is known by its number, and later it is too old.
 */
import type { Clock } from '#/lib/clock.ts'
import { deriveKey, openVault, randomToken } from '#/lib/crypto.ts'
import { findDatabaseIdentity } from '#/lib/database_identity.ts'
import type { Log } from '#/lib/log.ts'
import type { Redis } from '#/lib/redis.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { openKept } from './kept.ts'
import type { Ending } from './message.ts'

export interface News {
  endings: readonly Ending[]
  user_ids: readonly string[] | '*'
}

export interface RelayDeps {
  redis: Redis
  db: Db
  log: Log
  clock: Clock
  rootSecret: Secret
  /** Told of what others know; of no ending twice. */
  heard(news: News): void
  /** Messages may have been lost until now. */
  back(): void
}

export interface Relay {
  /** Unless another one tells of the same first. */
  publish(news: Partial<News>): void
  /** Says what is still to be said. */
  close(): void
}

interface Letter extends News {
  id: string
  /** Milliseconds since 1970, by the clock of whoever sent it. */
  at: number
}

/** The shape of a letter. Servers of another shape are on another channel. */
const shape = 1
/** All servers hear at once: the first to speak spares the others. */
const firstAfterMs = 20
const spreadMs = 130
/** People and endings together. */
const mostInLetter = 500
const mostBytes = 64 * 1_024
/** Of JSON; sealing adds little. */
const mostBytesOfEndings = 32 * 1_024
/** So far clocks of servers may be apart, and so long a letter is known by its number. */
const goodForMs = 5 * 60_000
const tellEveryMs = 10 * 60_000

const keyOf = ({ issuer, sid }: Ending): string => `${sid} ${issuer}`

export const openRelay = async ({ redis, db, log, clock, rootSecret, heard, back }: RelayDeps): Promise<Relay> => {
  const place = `${shape} ${await findDatabaseIdentity(db)}`
  const vault = openVault(rootSecret, 'outposts relay')
  const channel = `signet:outposts:${deriveKey(rootSecret, `outposts relay channel ${place}`).toString('base64url').slice(0, 22)}`
  const letters = openKept<true>({ most: 20_000, mostBytes: 2 * 1_024 * 1_024 })
  /** Endings that were said, by us or by others. */
  const said = openKept<true>({ most: 20_000, mostBytes: 8 * 1_024 * 1_024 })
  const waiting = { endings: new Map<string, Ending>(), user_ids: new Set<string>(), everyone: false }
  const refused = openRefusals(log)
  let timer: NodeJS.Timeout | undefined

  const send = (news: News): void => {
    const letter: Letter = { id: randomToken(12), at: clock().getTime(), ...news }
    letters.set(letter.id, true, 50)
    redis.publish(channel, vault.seal(JSON.stringify(letter), channel))
  }

  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    const { everyone } = waiting
    let user_ids: News['user_ids'] = everyone ? '*' : [...waiting.user_ids]
    let endings: Ending[] = []
    let bytes = 0
    for (const [key, ending] of waiting.endings) {
      said.set(key, true, 2 * key.length)
      const length = Buffer.byteLength(JSON.stringify(ending))
      if (length > mostBytesOfEndings) continue
      if (bytes + length > mostBytesOfEndings) {
        send({ endings, user_ids })
        user_ids = []
        endings = []
        bytes = 0
      }
      endings.push(ending)
      bytes += length
    }
    if (endings.length || user_ids.length) send({ endings, user_ids })
    waiting.endings.clear()
    waiting.user_ids.clear()
    waiting.everyone = false
  }

  const read = (message: Buffer): Letter | undefined => {
    if (message.length > mostBytes) return refused('it is too long')
    try {
      // Sealed by one of us, so of this shape.
      return JSON.parse(vault.open(message, channel).toString()) as Letter
    } catch {
      return refused('it was not sealed by a server of this installation')
    }
  }

  const take = (message: Buffer): void => {
    const letter = read(message)
    if (!letter || letters.get(letter.id)) return
    if (Math.abs(clock().getTime() - letter.at) > goodForMs) {
      refused('it is of another time: sent again, or clocks of servers are apart')
      return
    }
    letters.set(letter.id, true, 50)
    const endings = letter.endings.filter((ending) => {
      const key = keyOf(ending)
      waiting.endings.delete(key)
      if (said.get(key)) return false
      said.set(key, true, 2 * key.length)
      return true
    })
    // Who waits here to be said was told a moment ago.
    let { user_ids } = letter
    if (user_ids === '*') {
      if (waiting.everyone) user_ids = []
      waiting.everyone = false
      waiting.user_ids.clear()
    } else user_ids = user_ids.filter((user_id) => !waiting.user_ids.delete(user_id))
    if (endings.length || user_ids.length) heard({ endings, user_ids })
  }

  const stop = redis.subscribe(channel, { heard: take, back })
  return {
    publish: ({ endings = [], user_ids = [] }) => {
      if (!redis.isConnected()) return
      for (const ending of endings) {
        const key = keyOf(ending)
        if (!said.get(key)) waiting.endings.set(key, ending)
      }
      if (user_ids === '*') waiting.everyone = true
      else for (const user_id of user_ids) waiting.user_ids.add(user_id)
      const count = waiting.endings.size + waiting.user_ids.size
      if (count >= mostInLetter) flush()
      else if (count > 0 || waiting.everyone) timer ??= setTimeout(flush, firstAfterMs + Math.random() * spreadMs).unref()
    },
    close: () => {
      flush()
      stop()
    },
  }
}

/** Anyone may write to Redis, and none of that may fill the log. */
const openRefusals = (log: Log) => {
  let count = 0
  let toldAt = -tellEveryMs
  return (reason: string): undefined => {
    count++
    if (performance.now() - toldAt < tellEveryMs) return
    toldAt = performance.now()
    log.warn(
      { event: 'outpost.relay.refused', reason, count },
      'a message in Redis was not taken; more of them are counted and told together',
    )
    count = 0
  }
}
