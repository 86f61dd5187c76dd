/** What every process that listens does with a request, whoever answers it: routed, told on, counted, logged. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { setCaller, setGuardedCaller, setUpgrade } from '#/lib/http.ts'
import { type Log, openPlainLines } from '#/lib/log.ts'
import { ServerResponse } from './listener.ts'
import type { Handle } from './parts.ts'
import { refuse } from './refuse.ts'
import { type Part, type RouterOptions, route, settleHeaders } from './router.ts'

/**
 * A request to change the protocol is answered as any other, and its connection ends with the answer, unless the one who answers takes it.
 */
export const answerUpgrade = (handle: Handle, request: IncomingMessage, socket: Socket, head: Buffer): void => {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  try {
    response.assignSocket(socket)
  } catch {
    // An answer to an earlier request still uses it, and this one did not wait for it.
    socket.destroy()
    return
  }
  socket.on('error', () => socket.destroy())
  response.once('finish', () => socket.destroySoon())
  setUpgrade(request, { socket, head })
  handle(request, response)
}

export interface Serving extends RouterOptions {
  log: Log
  parts: Record<Part | 'outpost', Handle>
  answered: (part: string, status: number, seconds: number) => void
}

export const serve = ({ log, parts, answered, ...options }: Serving): Handle => {
  const say = openPlainLines(log)
  return (request, response) => {
    const began = performance.now()
    const decided = route(request, options)
    const requestId = decided.kind === 'refused' ? decided.requestId : decided.caller.requestId
    // Of a stream of HTTP/2 that has closed nobody knows it any more.
    const address = decided.kind === 'refused' ? request.socket.remoteAddress : decided.caller.network
    // An outpost says it with its other headers, which is quicker.
    if (decided.kind !== 'outpost') response.setHeader('x-request-id', requestId)
    response.once('close', () => {
      const seconds = (performance.now() - began) / 1_000
      const part = decided.kind === 'part' ? decided.part : decided.kind === 'outpost' ? 'outpost' : 'none'
      answered(part, response.statusCode, seconds)
      // Without the query: codes, tokens and addresses of mail stand there.
      const path = JSON.stringify(loggedPath(decided.kind === 'refused' ? '' : decided.url))
      say(
        `"event":"http.request","http.request.method":${JSON.stringify(request.method ?? '')},"url.path":${path},` +
          `"http.response.status_code":${response.statusCode},${address === undefined ? '' : `"client.address":${JSON.stringify(address)},`}` +
          `"signet.part":"${part}","signet.request_id":"${requestId}","duration_ms":${Math.round(seconds * 1e5) / 100}`,
      )
    })
    if (decided.kind === 'refused') {
      refuse(request, response, { code: decided.status === 421 ? 'misdirected' : 'bad_request', detail: decided.detail })
      return
    }
    request.url = decided.url
    if (decided.kind === 'outpost') {
      setGuardedCaller(request, decided.caller)
      parts.outpost(request, response)
      return
    }
    settleHeaders(request, decided.caller)
    setCaller(request, decided.caller)
    parts[decided.part](request, response)
  }
}

/** Without what names one interaction: its address is half of the right to go on with it. */
const loggedPath = (url: string): string => {
  const query = url.indexOf('?')
  const path = url.slice(0, Math.min(query < 0 ? url.length : query, 256))
  return path.startsWith('/oauth2/') ? path.replace(/^(\/oauth2\/(?:interaction|authorize|device))\/.*/, '$1/…') : path
}
