import type { Server } from 'node:http'
import type { Database } from '#/lib/sql.ts'
import { createServer } from './listener.ts'

export interface Metrics {
  /** Counts an answered request and how long it took. */
  answered(part: string, status: number, seconds: number): void
  /** Serves GET /metrics. */
  readonly server: Server
  /** Loads the library that counts; until then requests are kept. Asking for the metrics loads it too. */
  load(): Promise<void>
}

interface Counting {
  answered(part: string, status: number, seconds: number): void
  render(): Promise<{ contentType: string; text: string }>
}

/** More requests than any server answers before it is loaded. */
const mostKept = 10_000
/** Requests that are counted together: one by one, with all that happens between them, each took several times as long. */
const together = 500

/** Prometheus metrics of this process; names after OpenTelemetry's where there is one. Without a database or Redis there is nothing of one. */
export const openMetrics = (db?: Database, isRedisConnected?: () => boolean): Metrics => {
  let kept: Parameters<Metrics['answered']>[] = []
  let counting: Counting | undefined
  let loading: Promise<Counting> | undefined
  const load = (): Promise<Counting> => {
    loading ??= openCounting(db, isRedisConnected).then((opened) => {
      counting = opened
      return opened
    })
    return loading
  }
  const count = ({ answered }: Counting): void => {
    const requests = kept
    kept = []
    for (const [part, status, seconds] of requests) answered(part, status, seconds)
  }
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    load()
      .then((loaded) => {
        count(loaded)
        return loaded.render()
      })
      .then(
        ({ contentType, text }) => response.writeHead(200, { 'content-type': contentType }).end(text),
        () => response.writeHead(500).end(),
      )
  })
  return {
    server,
    answered: (...request) => {
      if (kept.length < mostKept) kept.push(request)
      if (counting && kept.length >= together) count(counting)
    },
    load: async () => {
      await load()
    },
  }
}

const openCounting = async (db: Database | undefined, isRedisConnected: (() => boolean) | undefined): Promise<Counting> => {
  const { collectDefaultMetrics, Gauge, Histogram, Registry } = (await import('prom-client')).default
  const registry = new Registry()
  // In milliseconds: at the library's own ten a server that does nothing is woken a hundred times a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  const duration = new Histogram({
    name: 'signet_http_server_request_duration_seconds',
    help: 'Time from the first byte of a request to the last byte of its answer.',
    labelNames: ['part', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  })
  if (db) {
    const connections = new Gauge({
      name: 'signet_database_connections',
      help: 'Connections to PostgreSQL by state; waiting are requests that wait for one.',
      labelNames: ['state'],
      registers: [registry],
      collect() {
        connections.set({ state: 'open' }, db.pool.totalCount)
        connections.set({ state: 'idle' }, db.pool.idleCount)
        connections.set({ state: 'waiting' }, db.pool.waitingCount)
      },
    })
  }
  if (isRedisConnected) {
    const connected = new Gauge({
      name: 'signet_redis_connected',
      help: '1: connected to Redis; 0: it is away, which nothing depends on.',
      registers: [registry],
      collect() {
        connected.set(isRedisConnected() ? 1 : 0)
      },
    })
  }
  const labels = new Map<string, { part: string; status: string }>()
  return {
    answered: (part, status, seconds) => {
      const key = `${part} ${status}`
      let label = labels.get(key)
      if (!label) {
        label = { part, status: String(status) }
        labels.set(key, label)
      }
      duration.observe(label, seconds)
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}
