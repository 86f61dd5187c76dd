/**
 * Mode proxy: requests go through the outpost, streamed both ways, so that a large one takes no more memory than a small one. Nothing that an
 * application answers, or fails to, may do harm to others: whatever is wrong with an answer becomes 502, or a broken answer where half of it is
 * out already.
 */
import { type ClientRequest, type IncomingMessage, request as requestHttp, type ServerResponse, STATUS_CODES } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { boundBody, hasBody, liftBodyBound } from '#/lib/body_bound.ts'
import { type GuardedCaller, getUpgrade } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import type { Address } from './address.ts'
import type { GuardedApplication } from './core.ts'
import { isWebSocket, join } from './join.ts'
import { openUpstreamAgents } from './upstream_agents.ts'
import { requestHeaders, responseHeaders } from './upstream_headers.ts'

export interface Passing {
  application: GuardedApplication
  address: Address
  caller: GuardedCaller
  identity: Record<string, string>
  stated: ReadonlySet<string>
  authorization: string | undefined
  /** Called with how to end what goes on, and how to forget it. */
  staying: (end: () => void) => () => void
}

/** How long a body that nobody reads any more may go on, so that the browser reads the answer before its connection ends. */
const lingerMs = 5_000

/** A failure that is the application's. */
class UpstreamFailure extends Error {
  readonly status: 502 | 504
  constructor(status: 502 | 504, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

export const openProxy = ({ log }: { log: Log }) => {
  const agents = openUpstreamAgents()

  const pass = (request: IncomingMessage, response: ServerResponse, passing: Passing): void => {
    const { application } = passing
    const { connectMs, responseMs, idleMs } = application.upstream
    const upgrade = getUpgrade(request)
    const withBody = hasBody(request)
    const length = announcedLength(request)
    let received = 0
    const options = upstreamRequest(request, passing)
    const isTls = options.protocol === 'https:'
    const send = isTls ? requestHttps : requestHttp
    let out: ClientRequest
    let waiting: NodeJS.Timeout | undefined
    let isOver = false
    liftBodyBound(request)

    const fail = (failure: UpstreamFailure) => {
      if (isOver) return
      isOver = true
      clearTimeout(waiting)
      forget()
      out.destroy()
      const { cause } = failure as { cause?: Error & { code?: string } }
      log.warn(
        { event: 'outpost.upstream.failed', application: application.key, error: cause?.code ?? cause?.message ?? failure.message },
        failure.message,
      )
      stopReading(request, out)
      // Half an answer must not look like a whole one.
      if (response.headersSent) breakOff(request, response)
      else answerFailure(request, response, failure)
    }

    const within = (ms: number, text: string) => {
      clearTimeout(waiting)
      waiting = setTimeout(() => fail(new UpstreamFailure(504, text)), ms)
    }
    const forget = passing.staying(() => fail(new UpstreamFailure(502, 'the sign-in ended')))

    const attempt = (isAgain: boolean): void => {
      let isAnswered = false
      out = send({ ...options, agent: agents.of(application) })
      within(connectMs, 'the application does not take the connection')
      out.once('socket', (socket) => {
        let isSent = false
        const connected = () => within(isSent ? responseMs : idleMs, 'the application does not answer')
        // An answer is only waited for when all of the question is there.
        out.once('finish', () => {
          isSent = true
          if (!isAnswered && !socket.connecting) connected()
        })
        if (socket.connecting) socket.once(isTls ? 'secureConnect' : 'connect', connected)
        else connected()
      })
      out.on('error', (cause: Error & { code?: string }) => {
        // It closed a connection that was kept, while this request was on its way: it never saw it.
        const isUnseen = out.reusedSocket && !isAnswered && !withBody && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE')
        if (isUnseen && !isAgain && !isOver && repeatable.has(request.method ?? '')) attempt(true)
        else fail(new UpstreamFailure(502, 'the application can not be reached', { cause }))
      })
      out.once('response', (answer) => {
        isAnswered = true
        answered(answer)
      })
      out.once('upgrade', (answer, socket, head) => {
        isAnswered = true
        if (!upgrade || !isWebSocket(answer)) {
          socket.destroy()
          fail(new UpstreamFailure(502, 'the application changed the protocol, which nobody asked for'))
          return
        }
        clearTimeout(waiting)
        forget()
        isOver = true
        join({ response, answer, socket: socket as Socket, head, upgrade, idleMs, staying: passing.staying })
      })
      if (!withBody) out.end()
      else {
        request.pipe(out, { end: false })
        request.once('end', () => {
          // Counted as sent, it would leave a connection on which the next request is read as the rest of this body (RFC 9112 section 11.2).
          if (length !== undefined && received !== length) {
            gone()
            breakOff(request, response)
          } else if (!out.destroyed) out.end()
        })
      }
    }

    const answered = (answer: IncomingMessage) => {
      within(idleMs, 'nothing more came')
      answer.on('data', () => waiting?.refresh())
      answer.once('error', (cause) => fail(new UpstreamFailure(502, 'the answer broke off', { cause })))
      answer.once('aborted', () => fail(new UpstreamFailure(502, 'the answer broke off')))
      answer.once('end', () => {
        // What it has not read by now it will not read.
        if (!out.writableFinished) stopReading(request, out)
        closeWhenRead(request, response)
      })
      try {
        const { statusCode = 0 } = answer
        if (statusCode < 200) throw new Error(`status ${statusCode}`)
        response.writeHead(statusCode, answer.statusMessage, responseHeaders(answer))
        response.flushHeaders()
        answer.pipe(response)
      } catch (cause) {
        fail(new UpstreamFailure(502, 'the answer can not be handed on', { cause }))
      }
    }

    /** Nobody is there who would read an answer. */
    const gone = () => {
      isOver = true
      clearTimeout(waiting)
      forget()
      out.destroy()
    }
    request.on('data', (chunk: Buffer) => {
      received += chunk.length
      waiting?.refresh()
    })
    request.once('aborted', gone)
    response.once('close', () => {
      if (!response.writableFinished) return gone()
      clearTimeout(waiting)
      forget()
    })
    attempt(false)
  }

  return { pass, close: agents.close }
}

/** Asked twice they do what they do once (RFC 9110 section 9.2.2), and have no body that is gone by then. */
const repeatable = new Set(['GET', 'HEAD', 'OPTIONS'])

const upstreamRequest = (request: IncomingMessage, { application, address, caller, identity, stated, authorization }: Passing) => {
  const url = new URL(application.upstreamUrl ?? '')
  const base = url.pathname.replace(/\/$/, '')
  const path = `${base}${address.path.slice(application.path.length)}` || '/'
  const host = application.upstream.hostHeader === 'upstream' ? url.host : new URL(application.origin).host
  const { network, requestId } = caller
  const headers = requestHeaders(request, application, host, { network, requestId, identity, stated, authorization })
  return {
    protocol: url.protocol,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    method: request.method ?? 'GET',
    path: `${path}${address.query}`,
    headers: getUpgrade(request) ? [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'] : headers,
    setHost: false,
  }
}

/** Undefined where it goes on in chunks. */
const announcedLength = ({ headers }: IncomingMessage): number | undefined =>
  headers['transfer-encoding'] === undefined && headers['content-length'] !== undefined ? Number(headers['content-length']) : undefined

/** The rest of a body is thrown away, for a while. */
const stopReading = (request: IncomingMessage, out: ClientRequest): void => {
  request.unpipe(out)
  out.destroy()
  boundBody(request, lingerMs)
  request.resume()
}

/**
 * An answer that ends its connection ends it only when the body has been read too, which `stopReading` bounds. Node would at once, and what is still
 * sent would have the connection reset before the answer is read (RFC 9112 section 9.6). Of an answer whose headers are out.
 */
const closeWhenRead = (request: IncomingMessage, response: ServerResponse & { _last?: boolean }): void => {
  if (request.complete || !response._last) return
  response._last = false
  request.once('end', () => {
    if (response.writableFinished) request.socket.destroySoon()
    else response.once('finish', () => request.socket.destroySoon())
  })
}

const answerFailure = (request: IncomingMessage, response: ServerResponse, { status, message }: UpstreamFailure): void => {
  const body = `${message}\n`
  // Of an answer that could not be handed on, what was set before the fault was found.
  for (const name of response.getHeaderNames()) if (name !== 'x-request-id') response.removeHeader(name)
  response.writeHead(status, STATUS_CODES[status], {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  })
  response.flushHeaders()
  closeWhenRead(request, response)
  response.end(body)
}

const breakOff = ({ httpVersion, socket }: IncomingMessage, response: ServerResponse): void => {
  // To HTTP/1.0 the end of the connection is the end of the answer, unless it is a reset.
  if (httpVersion === '1.0' && !('encrypted' in socket)) socket.resetAndDestroy()
  else response.destroy()
}

export type Proxy = ReturnType<typeof openProxy>
