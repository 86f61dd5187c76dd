/**
 * A server process, put together. The listener opens first and answers 503 while the rest starts, so that a proxy in front sees a
 * server that is starting and not one that is gone. It is ready with the database, the configuration and the templates; the programs of the
 * parts come after (parts.ts). So what is only used there is imported where it is used.
 */
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { boundBody } from '#/lib/body_bound.ts'
import { type Clock, systemClock } from '#/lib/clock.ts'
import { networkMatcher, type Settings } from '#/lib/config.ts'
import { returnStartMemory } from '#/lib/heap.ts'
import type { Log } from '#/lib/log.ts'
import type { Redis } from '#/lib/redis.ts'
import type { Secret } from '#/lib/secret.ts'
import { type Database, openDatabase } from '#/lib/sql.ts'
import { hasStarted } from '#/model/resources.ts'
import type { FirstStart } from '#/resources/first_start.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import { answerHealth, isHealth } from './answer_health.ts'
import { openGuardedHosts } from './guarded_hosts.ts'
import { openReadiness, type Readiness } from './health.ts'
import { closeServer, listen, openListener } from './listener.ts'
import { openMetrics } from './metrics.ts'
import { type Handle, openParts } from './parts.ts'
import { refuse } from './refuse.ts'
import { openSecureListener } from './secure_listener.ts'
import { answerUpgrade, serve } from './serving.ts'

export interface ServerOptions {
  settings: Settings
  log: Log
  databaseUrl: string
  rootSecret: Secret
  clock?: Clock
  /** `namespace/name` of the only AuthServer to answer for. */
  authServer?: string
}

export interface RunningServer {
  /** Bound to, such as `0.0.0.0`. */
  address: string
  port: number
  metricsPort: number
  /** Undefined: there is no listener of TLS. */
  tlsPort: number | undefined
  /** Resolves when requests are answered, with what a first start made; rejects when it can't come to that. Undefined: stopped before. */
  started: Promise<FirstStart | undefined>
  /** Resolves when every part is open, for which nobody needs to wait; rejects when the program of one can't be loaded: then this process is of no use. */
  loaded: Promise<void>
  /** Issuers that are answered for, those with the longest path first; none before `started`. */
  issuers(): readonly string[]
  /** Stops accepting, finishes what runs, closes the database. */
  stop(): Promise<void>
}

const requestsFinishWithinMs = 8_000
/** Who waits for the server to be ready hears of it before the parts are loaded. */
const aheadMs = 20
/** Not at once: the first requests go before it. */
const settledAfterMs = 1_500
const lookForMigrationsEveryMs = 1_000
const startingRetryAfter = 2
const alreadyStarted: FirstStart = { made: false, password: undefined }

/** Resolves when it listens; `started` when it serves. */
export const startServer = async ({
  settings,
  log,
  databaseUrl,
  rootSecret,
  clock = systemClock,
  authServer: only,
}: ServerOptions): Promise<RunningServer> => {
  const db = openDatabase({
    url: databaseUrl,
    max: settings.DATABASE_CONNECTIONS,
    onError: (error) => log.warn({ event: 'database.connection.lost', error: error.message }, 'a connection to PostgreSQL was lost'),
  })
  const readiness = openReadiness(db)
  let redis: Redis | undefined
  const metrics = openMetrics(db, settings.REDIS_URL && (() => redis?.isConnected() === true))
  const closing: (() => Promise<void> | void)[] = [() => db.close()]
  let stopping = false
  const stop = new AbortController()
  let handle: Handle = (request, response) =>
    refuse(request, response, { code: 'unavailable', detail: 'Signet is starting', retryAfter: startingRetryAfter })

  const isAnswered = ({ namespace, name }: { namespace: string; name: string }) => only === undefined || only === `${namespace}/${name}`
  let serving = false
  let served: Pick<Snapshot, 'authServers'> | undefined
  let faultyPart: () => string | undefined = () => undefined
  const whenServing = async (): Promise<Readiness> => {
    if (!serving) return { ready: false, reason: 'Signet is starting' }
    const part = faultyPart()
    return part === undefined ? readiness() : { ready: false, reason: `the part ${part} could not be opened` }
  }

  const answer: Handle = (request, response) => {
    boundBody(request)
    if (isHealth(request)) answerHealth(request, response, whenServing, () => stopping)
    else handle(request, response)
  }
  const server = openListener(answer)
  server.on('upgrade', (request, socket, head) => answerUpgrade(handle, request, socket as Socket, head))
  const { address, port } = await listen(server, settings.PORT, settings.HOST)
  const { port: metricsPort } = await listen(metrics.server, settings.METRICS_PORT, settings.HOST).catch(async (error: Error) => {
    await closeServer(server, 0)
    throw error
  })
  const tls = await openSecureListener({ settings, log, clock, http1: server, answer }).catch(async (error: Error) => {
    await Promise.all([closeServer(server, 0), closeServer(metrics.server, 0)])
    throw error
  })

  const begin = async () => {
    const [{ openSnapshot }, { openPages }] = await Promise.all([
      import('#/resources/snapshot.ts'),
      import('#/flow/pages.ts'),
      untilMigrated(readiness, () => stopping, log),
    ])
    if (stopping) return undefined
    const first = (await hasStarted(db)) ? alreadyStarted : await firstStart()
    const snapshot = await openSnapshot({ db, log, clock })
    closing.unshift(() => snapshot.close())
    const pages = openPages({ templatesDir: settings.TEMPLATES_DIR, log })
    const ofConfiguration = { db, log, clock, settings, snapshot, rootSecret }
    const feed = shared(async () => {
      const { openFeed } = await import('#/outpost/feed.ts')
      if (settings.REDIS_URL && !redis) {
        const { openRedis } = await import('#/lib/redis.ts')
        const connection = await openRedis({ url: settings.REDIS_URL, log })
        closing.unshift(() => connection.close())
        redis = connection
      }
      const opened = await openFeed({ ...ofConfiguration, redis })
      closing.unshift(() => opened.close())
      return opened
    })
    const deps = { ...ofConfiguration, pages, feed, stopping: stop.signal }
    if (tls) closing.unshift(await tls.follow(deps))
    const parts = openParts({
      programs: {
        oidc: () =>
          import('#/oidc/oidc.ts').then(
            ({ openOidc }) =>
              () =>
                openOidc(deps),
          ),
        core: () =>
          import('./core.ts').then(
            ({ openCore }) =>
              () =>
                openCore(deps),
          ),
        outpost: () =>
          import('./embedded_outpost.ts').then(
            ({ openEmbeddedOutpost }) =>
              () =>
                openEmbeddedOutpost({ ...deps, port: () => port }),
          ),
      },
      onFault: (part, error) => log.error({ event: 'server.part.failed', 'signet.part': part, error: error.stack }, 'it is opened again'),
    })
    faultyPart = parts.faulty
    closing.unshift(() => parts.close())
    const isTrustedProxy = networkMatcher(settings.TRUSTED_PROXIES)
    handle = serve({
      log,
      answered: metrics.answered,
      parts: parts.handle,
      authServerFor: (host, path) => {
        const found = snapshot.authServerFor(host, path)
        return found && isAnswered(found) ? found : undefined
      },
      guardedPrefix: openGuardedHosts(snapshot),
      isTrustedProxy,
    })
    served = snapshot
    serving = true
    return { first, parts, deps }
  }

  const firstStart = async (): Promise<FirstStart> => {
    const [{ applyFirstStart }, { openPasswordHasher }] = await Promise.all([
      import('#/resources/first_start.ts'),
      import('#/identity/passwords.ts'),
    ])
    const passwords = openPasswordHasher({ breachedPasswordsDir: settings.BREACHED_PASSWORDS_DIR })
    try {
      return await applyFirstStart({ db, rootSecret, passwords, settings }, clock())
    } finally {
      await passwords.close()
    }
  }

  const start = begin()
  const load = async () => {
    const begun = await start
    if (!begun) return
    await delay(aheadMs)
    if (stopping) return
    await begun.parts.load()
    await metrics.load()
    if (settings.CERTS_DIR && !stopping) {
      const { applyCertificateFolder } = await import('#/resources/certificate_folder.ts')
      await applyCertificateFolder(begun.deps, settings.CERTS_DIR).catch((error: Error) =>
        log.error({ event: 'certificates.failed', error: error.message }, 'the next start tries again'),
      )
    }
    if (settings.MANIFESTS && !stopping) {
      const { watchManifests } = await import('#/resources/watch.ts')
      const watch = watchManifests(begun.deps, settings.MANIFESTS)
      closing.unshift(() => watch.close())
    }
    setTimeout(returnStartMemory, settledAfterMs).unref()
  }
  const started = start.then((begun) => begun?.first)
  const loaded = load()
  // Who waits for neither is not ended by it; who waits for one hears of it there.
  for (const promise of [started, loaded]) promise.catch(() => {})
  return {
    issuers: () => (served?.authServers() ?? []).filter(isAnswered).map(({ issuerUrl }) => issuerUrl),
    address,
    port,
    metricsPort,
    tlsPort: tls?.port,
    started,
    loaded,
    stop: async () => {
      if (stopping) return
      stopping = true
      stop.abort()
      await Promise.all([closeServer(server, requestsFinishWithinMs), tls?.close(requestsFinishWithinMs), closeServer(metrics.server, 0)])
      // What is still being opened must be there to be closed. How it failed, the one who waits for `started` has heard.
      await loaded.catch(() => {})
      for (const close of closing) await close()
    },
  }
}

/** What is there for everything that begins with the database. */
export interface ServingDeps {
  db: Database
  log: Log
  clock: Clock
  rootSecret: Secret
  snapshot: Snapshot
}

/** Opened when it is first asked for, and again when that failed; one for all. */
const shared = <Opened>(open: () => Promise<Opened>): (() => Promise<Opened>) => {
  let opened: Promise<Opened> | undefined
  return () => {
    opened ??= open().catch((error: Error) => {
      opened = undefined
      throw error
    })
    return opened
  }
}

/** A server is often started beside the job that migrates: it waits, unready, rather than fail. */
const untilMigrated = async (readiness: () => Promise<Readiness>, isStopping: () => boolean, log: Log): Promise<void> => {
  let said: string | undefined
  while (!isStopping()) {
    const found = await readiness()
    if (found.ready) return
    if (found.reason !== said)
      log.warn({ event: 'server.waiting', reason: found.reason }, 'not ready yet: signet migrate brings the database up to date')
    said = found.reason
    await new Promise((resolve) => setTimeout(resolve, lookForMigrationsEveryMs))
  }
}
