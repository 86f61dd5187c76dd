import type { IncomingMessage } from 'node:http'
import type { Readiness } from './health.ts'
import type { ServerResponse } from './listener.ts'
import { parseTarget } from './router.ts'

const folder = '/-/health/'

/** In any form that a target has, and on any host: who looks after processes knows them by their port. */
export const isHealth = ({ url = '' }: IncomingMessage): boolean =>
  // Nearly every request is of the first kind.
  url.startsWith('/') ? url.startsWith(folder) : parseTarget(url)?.path.startsWith(folder) === true

/** `/-/health/live` and `/-/health/ready`; the latter answers 503 while the process is not ready, or stops. */
export const answerHealth = (
  request: IncomingMessage,
  response: ServerResponse,
  readiness: () => Promise<Readiness>,
  isStopping: () => boolean,
) => {
  const answer = (status: number, body: object) => {
    const text = JSON.stringify(body)
    response
      .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' })
      .end(text)
  }
  const path = parseTarget(request.url ?? '')?.path
  if (path === '/-/health/live') answer(200, { live: true })
  else if (path !== '/-/health/ready') answer(404, { detail: 'there are /-/health/live and /-/health/ready' })
  else if (isStopping()) answer(503, { ready: false, reason: 'stopping' })
  else
    readiness().then(
      (found) => answer(found.ready ? 200 : 503, found),
      () => answer(503, { ready: false, reason: 'whether it is ready could not be found out' }),
    )
}
