import { createServer, type Server } from 'node:http'
import type { Database } from '#/lib/sql.ts'

export interface Metrics {
  /** Counts an answered request and how long it took. */
  answered(part: string, status: number, seconds: number): void
  /** Serves GET /metrics. */
  readonly server: Server
}

/** Prometheus metrics of this process; names after OpenTelemetry's where there is one. */
export const openMetrics = async (db: Database): Promise<Metrics> => {
  const { collectDefaultMetrics, Gauge, Histogram, Registry } = (await import('prom-client')).default
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const duration = new Histogram({
    name: 'signet_http_server_request_duration_seconds',
    help: 'Time from the first byte of a request to the last byte of its answer.',
    labelNames: ['part', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  })
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
  const labels = new Map<string, { part: string; status: string }>()
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  return {
    server,
    answered: (part, status, seconds) => {
      const key = `${part} ${status}`
      let label = labels.get(key)
      if (!label) {
        label = { part, status: String(status) }
        labels.set(key, label)
      }
      duration.observe(label, seconds)
    },
  }
}
