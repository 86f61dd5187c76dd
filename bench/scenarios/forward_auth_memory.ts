import { randomBytes } from 'node:crypto'
import { type Connection, openConnection } from '../connection.ts'
import { residentKiB } from '../resident.ts'
import type { FigureScenario } from './scenario.ts'

const checks = 1_000_000
/** Until everything that is kept is there. */
const settling = 200_000
const connections = 16
const path = '/outpost.signet/auth/traefik'

const random = () => randomBytes(24).toString('base64url')

/** Resident memory of a server after a million questions of a proxy, beside that after the first of them: people signed in, and strangers with cookies, paths and tokens that they made up. */
export const forward_auth_memory: FigureScenario = {
  kind: 'figure',
  measure: async (ours) => {
    const browsers = await Array.fromAsync({ length: connections }, (_, worker) => ours.guarded(worker))
    let left = checks
    const work = async (connection: Connection, worker: number, until: number): Promise<void> => {
      const { cookie = '', host = '', path: page = '' } = browsers[worker] ?? {}
      const [name = ''] = cookie.split('=', 1)
      while (left-- > until) {
        const asked = { accept: 'text/html', 'x-forwarded-proto': 'http', 'x-forwarded-host': host, 'x-forwarded-method': 'GET' }
        const isStranger = left % 10 === 0
        const isProgram = left % 500 === 0
        const answer = await connection.send('GET', path, {
          ...asked,
          cookie: isStranger ? `${name}=${random()}` : cookie,
          'x-forwarded-uri': isStranger ? `/guarded/${random()}` : page,
          ...(isProgram ? { authorization: `Bearer signet_${random()}` } : {}),
        })
        if (answer.status !== (isProgram ? 401 : isStranger ? 302 : 200))
          throw new Error(`answered ${answer.status}: ${answer.body.slice(0, 300)}`)
      }
      left++
    }
    const open = Array.from({ length: connections }, () => openConnection(ours.origin))
    const until = (rest: number) => Promise.all(open.map((connection, worker) => work(connection, worker, rest)))
    try {
      await until(checks - settling)
      const before = residentKiB(ours.pid)
      await until(0)
      const after = residentKiB(ours.pid)
      return {
        value: after / before,
        ours: `${Math.round(after / 1024)} MiB`,
        limit: `${Math.round(before / 1024)} MiB`,
        details: { rps: null, limit_rps: null, ratio: after / before, p50_ms: null, p99_ms: null, bytes: after * 1024, checks },
      }
    } finally {
      for (const connection of open) connection.close()
    }
  },
}
