/**
 * What outposts are to be told, from configuration and database: once in a server for all outposts that it serves, the one within among them.
 * An ending is told by NOTIFY, and read anew now and then, since a notice may be lost. Where there is Redis, servers tell one another besides.
 */
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import type { Redis } from '#/lib/redis.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Database } from '#/lib/sql.ts'
import { findLastEnding, findOverlap, listEndings } from '#/model/outpost_endings.ts'
import { type GuardedApplication, guardedApplication } from '#/resources/guarded_applications.ts'
import { outpostOf } from '#/resources/outpost_client.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import type { Message } from './message.ts'
import { openRelay, type Relay } from './relay.ts'
import { endingsKeptMs } from './session.ts'

export interface FeedDeps {
  db: Database
  log: Log
  clock: Clock
  snapshot: Snapshot
  rootSecret: Secret
  redis?: Redis | undefined
}

export interface Feed {
  /** `outpost`: `namespace/name`; undefined: the one in the server. */
  applications(outpost: string | undefined): Extract<Message, { type: 'applications' }>
  /** Those after `after`, and some from before: they come in the order of their writing, which is not always that of their commits. */
  endings(after: string): AsyncGenerator<Extract<Message, { type: 'endings' }>>
  /** Told of endings and people as they come, and by `changed` that applications are to be read anew. Answers how to stop that. */
  follow(follower: Follower): () => void
  close(): void
}

export interface Follower {
  tell(message: Message): void
  changed(): void
}

const batch = 1_000
const lookEveryMs = 15_000

export const openFeed = async ({ db, log, clock, snapshot, rootSecret, redis }: FeedDeps): Promise<Feed> => {
  const followers = new Set<Follower>()
  const tell = (message: Message) => {
    for (const follower of followers) follower.tell(message)
  }
  let seen = 0n
  let relay: Relay | undefined

  const endings: Feed['endings'] = async function* (from) {
    const since = new Date(clock().getTime() - endingsKeptMs)
    const newest = BigInt(await findLastEnding(db))
    // A database that was put back to an earlier time gives numbers once more that an outpost has seen before.
    let last = BigInt(from) > newest ? 0n : BigInt(from)
    for (let after = BigInt(await findOverlap(db, String(last))); ; ) {
      const found = await listEndings(db, { after: String(after), since, limit: batch })
      for (const { ending_id } of found) {
        after = BigInt(ending_id)
        if (after > last) last = after
      }
      yield {
        type: 'endings',
        endings: found.map(({ issuer, sid, ended_at }) => ({ issuer, sid, endedAt: ended_at.getTime() })),
        seen: String(last),
      }
      if (found.length < batch) return
    }
  }

  /** Those of the overlap, which are read again each time. */
  let told = new Set<string>()
  const readEndings = async (): Promise<void> => {
    const read = new Set<string>()
    for await (const message of endings(String(seen))) {
      seen = BigInt(message.seen)
      const fresh = message.endings.filter(({ issuer, sid }) => {
        const key = `${sid} ${issuer}`
        read.add(key)
        return !told.has(key)
      })
      if (!fresh.length) continue
      tell({ ...message, endings: fresh })
      relay?.publish({ endings: fresh })
    }
    told = read
  }

  let reading: Promise<void> | undefined
  let again = false
  const look = (): Promise<void> => {
    again = true
    reading ??= (async () => {
      while (again) {
        again = false
        await readEndings()
      }
    })()
      .catch((error: Error) =>
        log.warn({ event: 'outpost.endings.unread', error: error.message }, 'which sessions ended could not be read; it is tried again'),
      )
      .finally(() => {
        reading = undefined
      })
    return reading
  }

  await db.listen('outposts', () => void look())
  await db.listen('people', (user_id) => {
    // Empty: the connection was away, and what came meanwhile is lost. That is nobody else's trouble.
    const user_ids = user_id === '*' || user_id === '' ? '*' : [user_id]
    tell({ type: 'people', user_ids })
    if (user_id !== '') relay?.publish({ user_ids })
  })
  seen = BigInt(await findLastEnding(db))
  if (redis) {
    // What ended before is no news.
    await look()
    relay = await openRelay({
      redis,
      db,
      log,
      clock,
      rootSecret,
      heard: ({ endings: found, user_ids }) => {
        const fresh = found.filter(({ issuer, sid }) => !told.has(`${sid} ${issuer}`))
        // `seen` stays: what is in the database up to there was read, and this was not.
        if (fresh.length) tell({ type: 'endings', endings: fresh, seen: String(seen) })
        if (user_ids.length) tell({ type: 'people', user_ids })
      },
      back: () => void look(),
    })
  }
  const looking = setInterval(() => void look(), lookEveryMs)
  looking.unref()
  const stop = snapshot.onChange(() => {
    for (const follower of followers) follower.changed()
  })

  /** Of this generation. */
  let compiled: { generation: string; byOutpost: Map<string | undefined, readonly GuardedApplication[]> } | undefined
  const compile = () => {
    const { generation } = snapshot
    if (compiled?.generation !== generation) {
      const byOutpost = new Map<string | undefined, GuardedApplication[]>()
      for (const application of snapshot.list('Application')) {
        const guarded = guardedApplication(snapshot, rootSecret, application)
        const outpost = outpostOf(application)
        if (guarded) byOutpost.set(outpost, [...(byOutpost.get(outpost) ?? []), guarded])
      }
      compiled = { generation, byOutpost }
    }
    return compiled
  }

  return {
    applications: (outpost) => {
      const { generation, byOutpost } = compile()
      return { type: 'applications', generation, applications: byOutpost.get(outpost) ?? [] }
    },
    endings,
    follow: (follower) => {
      followers.add(follower)
      return () => followers.delete(follower)
    },
    close: () => {
      stop()
      clearInterval(looking)
      relay?.close()
      followers.clear()
    },
  }
}
