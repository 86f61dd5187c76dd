import type { Iteration } from '../load.ts'
import type { Ours } from '../ours.ts'
import type { LoadScenario } from './scenario.ts'

const reads =
  (request: (worker: number) => { path: string; cookie: string }): Iteration =>
  async (connection, number) => {
    const { path, cookie } = request(number)
    const answer = await connection.send('GET', path, { accept: 'text/html', cookie })
    if (answer.status !== 200 || answer.body.length !== 8 * 1024) throw new Error(`answered ${answer.status}: ${answer.body.slice(0, 300)}`)
  }

/** A page of an application behind the outpost, through it, for a browser that is signed in. The limit hands everything on to the same application. */
export const proxied: LoadScenario = {
  kind: 'load',
  connections: 16,
  prepare: async (target, connections) => {
    if (!('proxied' in target)) return undefined
    // What only ours has was looked at in the line above.
    const ours = target as Ours
    const browsers: Awaited<ReturnType<Ours['proxied']>>[] = []
    for (let worker = 0; worker < connections; worker++) browsers.push(await ours.proxied(worker))
    return reads((worker) => browsers[worker] ?? { path: '/', cookie: '' })
  },
  prepareLimit: async () => reads(() => ({ path: '/proxied/page?a=b', cookie: 'a=b' })),
}
