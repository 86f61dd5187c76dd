/**
 * Mode proxy: requests go through the outpost, streamed both ways, so that a large one takes no more memory than a small one. A web socket is a
 * request whose connection stays.
 */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp, type ServerResponse } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { type GuardedCaller, getUpgrade } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import type { Address } from './address.ts'
import type { GuardedApplication } from './core.ts'
import { requestHeaders, responseHeaders } from './upstream_headers.ts'

export interface Passing {
  application: GuardedApplication
  address: Address
  caller: GuardedCaller
  identity: Record<string, string>
  authorization: string | undefined
  /** Called with how to end a connection that stays, and how to forget it. */
  staying: (end: () => void) => () => void
}

const connectionsPerApplication = 256

export const openProxy = ({ log }: { log: Log }) => {
  const agents = new Map<string, HttpAgent | HttpsAgent>()

  /** Connections are kept by what they depend on, so that a change of settings takes new ones. */
  const agentOf = ({ key, upstreamUrl, upstream: { tls } }: GuardedApplication): HttpAgent | HttpsAgent => {
    const id = JSON.stringify([key, upstreamUrl, tls])
    let agent = agents.get(id)
    if (!agent) {
      for (const [other, old] of agents)
        if (other.startsWith(`${JSON.stringify([key]).slice(0, -1)},`)) {
          agents.delete(other)
          old.destroy()
        }
      const options = { keepAlive: true, maxSockets: connectionsPerApplication, maxFreeSockets: 32 }
      agent = upstreamUrl?.startsWith('https:')
        ? new HttpsAgent({
            ...options,
            rejectUnauthorized: tls?.insecureSkipVerify !== true,
            ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
          })
        : new HttpAgent(options)
      agents.set(id, agent)
    }
    return agent
  }

  const pass = (request: IncomingMessage, response: ServerResponse, passing: Passing): void => {
    const { application, address, caller } = passing
    const { connectMs, responseMs, idleMs, hostHeader } = application.upstream
    const upstreamUrl = new URL(application.upstreamUrl ?? '')
    const base = upstreamUrl.pathname.replace(/\/$/, '')
    const path = `${base}${address.path.slice(application.path.length)}` || '/'
    const upgrade = getUpgrade(request)
    const headers = requestHeaders(request, application, hostHeader === 'upstream' ? upstreamUrl.host : new URL(application.origin).host, {
      network: caller.network,
      requestId: caller.requestId,
      identity: passing.identity,
      authorization: passing.authorization,
    })
    if (upgrade) headers.push('Connection', 'Upgrade', 'Upgrade', String(request.headers.upgrade))
    const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
    const send = upstreamUrl.protocol === 'https:' ? requestHttps : requestHttp
    const out: ClientRequest = send({
      agent: agentOf(application),
      protocol: upstreamUrl.protocol,
      host: upstreamUrl.hostname.replace(/^\[|\]$/g, ''),
      port: upstreamUrl.port || (upstreamUrl.protocol === 'https:' ? 443 : 80),
      method: request.method ?? 'GET',
      path: `${path}${address.query}`,
      headers: hasBody && request.headers['transfer-encoding'] !== undefined ? [...headers, 'Transfer-Encoding', 'chunked'] : headers,
      setHost: false,
    })

    let failure: { status: 502 | 504; text: string } | undefined
    let waiting: NodeJS.Timeout | undefined
    const within = (ms: number, text: string) => {
      clearTimeout(waiting)
      waiting = setTimeout(() => {
        failure = { status: 504, text }
        out.destroy(new Error(text))
      }, ms)
    }
    within(connectMs, 'the application does not take the connection')
    out.on('socket', (socket) => {
      const connected = () => within(idleMs, 'nothing more came')
      if (socket.connecting) socket.once(upstreamUrl.protocol === 'https:' ? 'secureConnect' : 'connect', connected)
      else connected()
    })
    // An answer is only waited for when all of the question is there.
    out.once('finish', () => {
      if (!response.headersSent) within(responseMs, 'the application does not answer')
    })

    const fail = (error: Error & { code?: string }) => {
      clearTimeout(waiting)
      if (response.destroyed || response.writableEnded) return
      const { status, text } = failure ?? { status: 502, text: 'the application can not be reached' }
      log.warn({ event: 'outpost.upstream.failed', application: application.key, error: error.code ?? error.message }, text)
      if (response.headersSent) {
        // Half an answer must not look like a whole one.
        response.destroy()
        return
      }
      const body = `${text}\n`
      response.writeHead(status, {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': Buffer.byteLength(body),
        'cache-control': 'no-store',
        connection: 'close',
      })
      response.end(body)
      request.unpipe(out)
      request.resume()
    }
    out.on('error', fail)

    out.on('response', (answer) => {
      within(idleMs, 'nothing more came')
      answer.on('data', () => waiting?.refresh())
      answer.once('error', fail)
      answer.once('aborted', () => fail(new Error('the answer broke off')))
      answer.once('end', () => clearTimeout(waiting))
      // An informational answer is the library's; what comes here is the answer.
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, responseHeaders(answer))
      response.flushHeaders()
      answer.pipe(response)
    })

    if (upgrade)
      out.on('upgrade', (answer, socket, head) =>
        join(response, { answer, socket: socket as Socket, head, upgrade, idleMs, passing, waiting: () => clearTimeout(waiting) }),
      )
    else
      out.on('upgrade', (_, socket) => {
        socket.destroy()
        fail(new Error('the application changed the protocol without being asked'))
      })

    request.on('data', () => waiting?.refresh())
    response.once('close', () => {
      clearTimeout(waiting)
      if (!response.writableFinished) out.destroy()
    })
    if (hasBody) request.pipe(out)
    else out.end()
  }

  /** Two connections made one. */
  const join = (
    response: ServerResponse,
    {
      answer,
      socket,
      head,
      upgrade,
      idleMs,
      passing,
      waiting,
    }: {
      answer: IncomingMessage
      socket: Socket
      head: Buffer
      upgrade: NonNullable<ReturnType<typeof getUpgrade>>
      idleMs: number
      passing: Passing
      waiting: () => void
    },
  ): void => {
    waiting()
    const browser = upgrade.socket as Socket
    response.detachSocket(browser)
    const lines = [
      `HTTP/1.1 101 ${answer.statusMessage || 'Switching Protocols'}`,
      'Connection: Upgrade',
      `Upgrade: ${answer.headers.upgrade ?? ''}`,
    ]
    const passed = responseHeaders(answer)
    for (let index = 0; index < passed.length; index += 2) lines.push(`${passed[index]}: ${passed[index + 1]}`)
    browser.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
    if (head.length) browser.write(head)
    if (upgrade.head.length) socket.write(upgrade.head)
    const end = () => {
      forget()
      browser.destroy()
      socket.destroy()
    }
    const forget = passing.staying(end)
    for (const [one, other] of [
      [browser, socket],
      [socket, browser],
    ] as const) {
      one.setTimeout(idleMs, end)
      one.on('error', end)
      // What it said last is still handed on.
      one.on('close', () => {
        forget()
        other.destroySoon()
      })
    }
    browser.pipe(socket)
    socket.pipe(browser)
  }

  return {
    pass,
    close: () => {
      for (const agent of agents.values()) agent.destroy()
    },
  }
}

export type Proxy = ReturnType<typeof openProxy>
