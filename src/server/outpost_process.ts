/**
 * An outpost as a process of its own: listener, router and the outpost, health and metrics, and no database. It listens at once, and is ready as
 * soon as it was told what it guards, be it by core or by what it kept.
 */
import type { Socket } from 'node:net'
import { boundBody } from '#/lib/body_bound.ts'
import { type Clock, systemClock } from '#/lib/clock.ts'
import { networkMatcher, type Settings } from '#/lib/config.ts'
import { returnStartMemory } from '#/lib/heap.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import { version } from '#/lib/version.ts'
import { answerHealth, isHealth } from './answer_health.ts'
import type { Readiness } from './health.ts'
import { closeServer, listen, openListener } from './listener.ts'
import { openMetrics } from './metrics.ts'
import type { Handle } from './parts.ts'
import { refuse } from './refuse.ts'
import { openSecureListener } from './secure_listener.ts'
import { answerUpgrade, serve } from './serving.ts'

export interface OutpostProcessOptions {
  settings: Settings
  log: Log
  server: string
  token: Secret
  clock?: Clock
}

export interface RunningOutpost {
  port: number
  metricsPort: number
  /** Rejects when core will have nothing of this outpost, with its reason; never resolves. */
  refused: Promise<never>
  /** Stops accepting, finishes what runs, keeps what it knows. */
  stop(): Promise<void>
}

const requestsFinishWithinMs = 8_000
const settledAfterMs = 1_500
const nowhere = 5

export const startOutpostProcess = async ({
  settings,
  log,
  server,
  token,
  clock = systemClock,
}: OutpostProcessOptions): Promise<RunningOutpost> => {
  const metrics = openMetrics()
  let stopping = false
  let readiness = async (): Promise<Readiness> => ({ ready: false, reason: 'the outpost is starting' })
  const notYet: Handle = (request, response) =>
    refuse(request, response, { code: 'unavailable', detail: 'this outpost was not told yet what it guards', retryAfter: nowhere })
  let handle = notYet
  const answer: Handle = (request, response) => {
    boundBody(request)
    if (isHealth(request)) {
      answerHealth(
        request,
        response,
        () => readiness(),
        () => stopping,
      )
    } else handle(request, response)
  }
  const listener = openListener(answer)
  listener.on('upgrade', (request, socket, head) => answerUpgrade((...asked) => handle(...asked), request, socket as Socket, head))
  const { port } = await listen(listener, settings.PORT, settings.HOST)
  const { port: metricsPort } = await listen(metrics.server, settings.METRICS_PORT, settings.HOST).catch(async (error: Error) => {
    await closeServer(listener, 0)
    throw error
  })
  const tls = await openSecureListener({ settings, log, clock, http1: listener, answer }).catch(async (error: Error) => {
    await Promise.all([closeServer(listener, 0), closeServer(metrics.server, 0)])
    throw error
  })

  const [{ openStandalone }, { openOutpostPart }, { openPages }] = await Promise.all([
    import('#/outpost/standalone.ts'),
    import('./outpost.ts'),
    import('#/flow/pages.ts'),
  ])
  const { OUTPOST: outpost, DATA_DIR: dataDir } = settings
  const standalone = await openStandalone({ log, clock, server, token, outpost, dataDir, version })
  const { core, state } = standalone
  const pages = openPages({ templatesDir: settings.TEMPLATES_DIR, log })
  const part = openOutpostPart({ core, log, clock, pages })
  readiness = async () => {
    const { generation, isConnected, since, serverVersion } = state()
    const told = {
      version,
      outpost: state().outpost,
      generation,
      connected: isConnected,
      since: new Date(since).toISOString(),
      serverVersion,
    }
    return generation === undefined ? { ready: false, reason: 'core has not told yet what it guards', ...told } : { ready: true, ...told }
  }
  const guarded: Handle = (request, response) => (state().generation === undefined ? notYet : part.handle)(request, response)
  const beside: Handle = (request, response) =>
    refuse(request, response, { code: 'misdirected', detail: 'there are only applications here' })
  handle = serve({
    log,
    answered: metrics.answered,
    parts: { outpost: guarded, oidc: beside, core: beside },
    authServerFor: () => undefined,
    guardedPrefix: () => 0,
    isTrustedProxy: networkMatcher(settings.TRUSTED_PROXIES),
  })
  setTimeout(returnStartMemory, settledAfterMs).unref()
  return {
    port,
    metricsPort,
    refused: standalone.refused,
    stop: async () => {
      if (stopping) return
      stopping = true
      await Promise.all([closeServer(listener, requestsFinishWithinMs), tls?.close(requestsFinishWithinMs), closeServer(metrics.server, 0)])
      await part.close()
      await standalone.close()
    },
  }
}
