/** The outpost beside core in a server process: it reads core's configuration and database, and signs people in over its own address. */
import { request as requestHttp } from 'node:http'
import { findToken } from '#/identity/api_tokens.ts'
import { effectiveGroups } from '#/identity/groups.ts'
import { findUser } from '#/identity/users.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Database, Db } from '#/lib/sql.ts'
import { listEndings } from '#/model/outpost_endings.ts'
import { mayI } from '#/policy/access.ts'
import { guardedApplication } from '#/resources/guarded_applications.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import type { Core, GuardedApplication, Person } from './core.ts'
import { openEndings } from './endings.ts'
import { sessionMs } from './session.ts'

export interface EmbeddedDeps {
  db: Database
  log: Log
  clock: Clock
  snapshot: Snapshot
  rootSecret: Secret
  /** Where this very server listens, for the sign-ins of its own outpost. */
  port: () => number
}

const batch = 1_000
/** Those that were written but not yet committed when others were read. */
const overlap = 200n
const lookEveryMs = 15_000
const mostChanges = 50_000
const fetchMs = 10_000

/** `programs`: service accounts too, which have no sign-in. */
export const findPerson = async (db: Db, user_id: string, programs = false): Promise<Person | undefined> => {
  const user = await findUser(db, user_id)
  if (!user?.active || (user.serviceAccount && !programs)) return undefined
  const { id, username, email, name, active, attributes } = user
  return { id, username, email: email ?? '', name: name ?? '', active, attributes, groups: (await effectiveGroups(db, id)).toSorted() }
}

export const openEmbeddedCore = async ({ db, log, clock, snapshot, rootSecret, port }: EmbeddedDeps): Promise<Core & { close(): void }> => {
  let applications: readonly GuardedApplication[] = []
  const heard = new Set<() => void>()
  const endings = openEndings()
  const changes = new Map<string, number>()
  let allChangedAt = 0
  let seen = 0n

  const compile = () => {
    applications = snapshot.list('Application').flatMap((application) => guardedApplication(snapshot, rootSecret, application) ?? [])
    for (const tell of heard) tell()
  }
  compile()
  const stop = snapshot.onChange(compile)

  const readEndings = async (): Promise<void> => {
    const now = clock().getTime()
    const since = new Date(now - sessionMs)
    endings.forget(since.getTime())
    for (let after = seen > overlap ? seen - overlap : 0n; ; ) {
      const found = await listEndings(db, { after: String(after), since, limit: batch })
      for (const { ending_id, issuer, sid, ended_at } of found) {
        endings.add({ issuer, sid, endedAt: ended_at.getTime() })
        after = BigInt(ending_id)
        if (after > seen) seen = after
      }
      if (found.length < batch) return
    }
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
    const now = clock().getTime()
    // Empty: the connection was away, and what came meanwhile is lost.
    if (user_id === '*' || user_id === '') allChangedAt = now
    else {
      if (changes.size >= mostChanges) {
        changes.clear()
        allChangedAt = now
      }
      changes.set(user_id, now)
    }
  })
  await readEndings()
  const looking = setInterval(() => void look(), lookEveryMs)
  looking.unref()

  return {
    applications: () => applications,
    onChange: (tell) => {
      heard.add(tell)
    },
    findPerson: (user_id) => findPerson(db, user_id),
    findMachine: async (token, { key }) => {
      const found = await findToken(db, token, clock())
      const [namespace] = key.split('/')
      const scope = found && { kinds: found.scope.kinds, namespaces: found.scope.namespaces, verbs: found.scope.verbs }
      return found?.user_id && scope && mayI([[scope]], { verb: 'use', kind: 'Application', namespace })
        ? await findPerson(db, found.user_id, true)
        : undefined
    },
    hasEnded: endings.has,
    changedAt: (user_id) => Math.max(changes.get(user_id) ?? 0, allChangedAt),
    fetch: (url, options) => fetchAt({ host: '127.0.0.1', port: port() }, url, options),
    close: () => {
      stop()
      clearInterval(looking)
    },
  }
}

/** Asks at one address for what is of another: an issuer's own may lead through proxies and names that this machine does not know. */
const fetchAt = (
  at: { host: string; port: number },
  url: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string },
): Promise<Response> => {
  const { host, pathname, search } = new URL(url)
  const plain = Object.fromEntries(new Headers(headers))
  return new Promise((resolve, reject) => {
    const out = requestHttp(
      {
        ...at,
        method,
        path: `${pathname}${search}`,
        headers: { ...plain, host, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
        timeout: fetchMs,
      },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.once('error', reject)
        answer.once('end', () => {
          const given = new Headers()
          for (const [name, value] of Object.entries(answer.headers))
            for (const one of [value].flat()) if (one !== undefined) given.append(name, one)
          const status = answer.statusCode ?? 502
          resolve(new Response(status === 204 || status === 304 ? null : Buffer.concat(chunks), { status, headers: given }))
        })
      },
    )
    out.once('timeout', () => out.destroy(new Error('core did not answer')))
    out.once('error', reject)
    out.end(body)
  })
}
