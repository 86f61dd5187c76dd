import type { Iteration } from '../load.ts'
import type { Ours } from '../ours.ts'
import type { Target } from '../target.ts'
import type { LoadScenario } from './scenario.ts'

const asks =
  (path: string, worker: (worker: number) => Record<string, string>): Iteration =>
  async (connection, number) => {
    const answer = await connection.send('GET', path, worker(number))
    if (answer.status !== 200 || !answer.headers.get('x-signet-username')?.[0]) throw new Error(`answered ${answer.status}: ${answer.body}`)
  }

/** A proxy asks about a request of a browser that is signed in. The limit knows the cookie, and answers the same headers. */
export const forward_auth: LoadScenario = {
  kind: 'load',
  connections: 16,
  prepare: async (target, connections) => {
    if (!('guarded' in target)) return undefined
    const { guarded } = target as Ours
    const browsers: Awaited<ReturnType<Ours['guarded']>>[] = []
    for (let worker = 0; worker < connections; worker++) browsers.push(await guarded(worker))
    const headers = browsers.map(({ cookie, host, path }) => ({
      cookie,
      accept: 'text/html',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': host,
      'x-forwarded-uri': path,
      'x-forwarded-method': 'GET',
    }))
    return asks('/outpost.signet/auth/traefik', (worker) => headers[worker] ?? {})
  },
  prepareLimit: async (limit: Target) => {
    const sessions = await Promise.all(Array.from({ length: 16 }, (_, worker) => limit.session(worker)))
    return asks('/forward', (worker) => ({ cookie: sessions[worker] ?? '', accept: 'text/html', 'x-forwarded-uri': '/page?a=b' }))
  },
}
