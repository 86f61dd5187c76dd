/**
 * An outpost that runs by itself: it works by what core tells it over one stream, and by the last it was told while core is away, also after a
 * restart (docs/decisions/0015-standalone-outposts.md).
 */
import { randomUUID } from 'node:crypto'
import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { hostname } from 'node:os'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import { openConnection } from './connection.ts'
import type { Core, Person } from './core.ts'
import { fetchAt } from './fetch_at.ts'
import { openKept } from './kept.ts'
import { openKnowledge } from './knowledge.ts'
import { openLastKnown } from './last_known.ts'

export interface StandaloneDeps {
  log: Log
  clock: Clock
  /** Where core is, without a slash at its end. */
  server: string
  token: Secret
  /** `namespace/name`; undefined: the only one that the token may be. */
  outpost: string | undefined
  /** Folder of what is kept for a start while core is away. */
  dataDir: string
  version: string
}

export interface StandaloneState {
  /** Undefined: it was never told anything. */
  generation: string | undefined
  outpost: string | undefined
  isConnected: boolean
  /** When the line came up or went down. Milliseconds since 1970. */
  since: number
  serverVersion: string | undefined
}

export interface Standalone {
  core: Core
  state(): StandaloneState
  /** Rejects, with Refused, when core will have nothing of this outpost; never resolves. */
  refused: Promise<never>
  close(): Promise<void>
}

/** A change is kept so soon after; what comes meanwhile goes along. */
const keepAfterMs = 1_000
/** While nothing changes, what is kept is still made young again. */
const keepEveryMs = 5 * 60_000
const mostPeople = 5_000
const mostPeopleBytes = 16 * 1_024 * 1_024
const mostConnections = 16

export const openStandalone = async ({ log, clock, server, token, outpost, dataDir, version }: StandaloneDeps): Promise<Standalone> => {
  const knowledge = openKnowledge({ clock })
  const file = openLastKnown(dataDir, { token, server })
  /** Everyone that was asked for: after a restart a cookie would else say who they were before. */
  const people = openKept<Person | null>({ most: mostPeople, mostBytes: mostPeopleBytes })
  const agent = new (server.startsWith('https:') ? TlsAgent : Agent)({ keepAlive: true, maxSockets: mostConnections })
  const refusal = Promise.withResolvers<never>()
  refusal.promise.catch(() => {})
  let named = outpost
  /** When core was there last: so old is what is kept. */
  let currentAt: number | undefined
  let closed = false

  const found = await file.read(clock().getTime())
  if (found && 'problem' in found) log.warn({ event: 'outpost.last_known.unusable', reason: found.problem }, 'what was kept is not used')
  if (found && 'known' in found && (outpost === undefined || outpost === found.known.outpost)) {
    const { known } = found
    named = known.outpost
    currentAt = known.at
    for (const [user_id, person] of known.people) remember(user_id, person)
    knowledge.take({ type: 'endings', endings: known.endings, seen: known.seen })
    knowledge.forgetEndings(known.forgottenUntil ?? 0)
    knowledge.take({ type: 'people', user_ids: known.people.map(([user_id]) => user_id) })
    knowledge.take({ type: 'applications', generation: known.generation, applications: known.applications })
    log.info(
      {
        event: 'outpost.last_known.used',
        'signet.outpost': named,
        at: new Date(known.at).toISOString(),
        applications: known.applications.length,
      },
      'it works by what was kept until core is there',
    )
  }

  function remember(user_id: string, person: Person | null): void {
    people.set(user_id, person, JSON.stringify(person).length + 100)
  }

  let keeping: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  const keep = async (): Promise<void> => {
    clearTimeout(keeping)
    keeping = undefined
    await writing
    // Refused meanwhile: what is removed now must not come again.
    if (closed) return
    const generation = knowledge.generation()
    const name = connection.outpost()
    if (currentAt === undefined || generation === undefined || name === undefined) return
    const known = {
      at: currentAt,
      outpost: name,
      generation,
      applications: knowledge.applications(),
      endings: knowledge.endings(),
      forgottenUntil: knowledge.forgottenUntil(),
      seen: knowledge.seen(),
      people: people.entries(),
    }
    writing = file
      .write(known)
      .catch((error: Error) =>
        log.error({ event: 'outpost.last_known.unwritten', error: error.message }, 'a restart while core is away would find nothing'),
      )
    await writing
  }
  const keepSoon = (): void => {
    if (!closed) keeping ??= setTimeout(() => void keep(), keepAfterMs)
  }

  const connection = openConnection({
    log,
    clock,
    server,
    token,
    version,
    outpost: named,
    instance: randomUUID(),
    hostname: hostname().slice(0, 255),
    agent,
    seen: knowledge.seen,
    generation: knowledge.generation,
    take: (message) => {
      knowledge.take(message)
      if (connection.isCurrent()) currentAt = clock().getTime()
      if (message.type !== 'beat') keepSoon()
    },
    onRefused: (refused) => {
      closed = true
      clearTimeout(keeping)
      // What a token that is worth nothing any more was told is of no more use.
      const forget = async () => {
        await writing
        await file.remove()
      }
      forget()
        .catch(() => {})
        .finally(() => refusal.reject(refused))
    },
  })
  const keepingYoung = setInterval(keepSoon, keepEveryMs)
  keepingYoung.unref()

  const ask = async (path: string, body: object): Promise<Person | undefined> => {
    const { person } = (await connection.post(path, body)) as { person: Person | null }
    return person ?? undefined
  }

  return {
    core: {
      ...knowledge,
      isAway: connection.isAway,
      findPerson: async (user_id) => {
        try {
          const person = await ask('person', { id: user_id })
          remember(user_id, person ?? null)
          keepSoon()
          return person
        } catch (error) {
          const last = people.get(user_id)
          // While core is there it is asked again, and what was known does not become what is known now.
          if (last === undefined || connection.isCurrent()) throw error
          return last ?? undefined
        }
      },
      findMachine: (presented, { key }) => ask('program', { application: key, token: presented }),
      fetch: (url, options) => fetchAt(url, options),
    },
    state: () => ({
      generation: knowledge.generation(),
      outpost: connection.outpost(),
      isConnected: connection.isCurrent(),
      since: connection.since(),
      serverVersion: connection.serverVersion(),
    }),
    refused: refusal.promise,
    close: async () => {
      clearInterval(keepingYoung)
      if (!closed) await keep()
      closed = true
      connection.close()
      agent.destroy()
    },
  }
}
