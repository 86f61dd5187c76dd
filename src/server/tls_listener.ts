/**
 * The listener of TLS_PORT. Whoever speaks HTTP/1.1 there is handed to the listener of PORT, with all its bounds, and web sockets; HTTP/2 has bounds
 * of its own. Node's secure server for both would make a second HTTP/1.1 server with other bounds, so the two are kept apart by ALPN here.
 *
 * Web sockets over HTTP/2 (RFC 8441) are not offered: browsers that are not told of them open a connection of HTTP/1.1.
 */
import type { Server } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Certificates } from './certificates.ts'
import { Request, Response } from './http2_messages.ts'
import { listen, maxHeaderSize } from './listener.ts'
import { tlsSettings } from './tls_settings.ts'

const { createServer: createHttp2Server } = process.getBuiltinModule('node:http2')
const { createServer: createTlsServer } = process.getBuiltinModule('node:tls')

export interface TlsListener {
  listen(port: number, host: string): Promise<AddressInfo>
  /** Stops accepting, tells connections of HTTP/2 to go away when their requests are answered, cuts those that have not by the deadline. */
  close(withinMs: number): Promise<void>
}

export interface TlsListenerOptions {
  /** Answers HTTP/1.1. */
  http1: Server
  handle: (request: Http2ServerRequest, response: Http2ServerResponse) => void
  certificates: Certificates
  /** A connection of HTTP/2 without a request for so long is told to go away. */
  idleMs?: number
  handshakeWithinMs?: number
}

/** For a client to read that its connection ends. */
const goodbyeMs = 2_000
const deadPeerMs = 60_000

export const openTlsListener = ({
  http1,
  handle,
  certificates,
  idleMs = 65_000,
  handshakeWithinMs = 10_000,
}: TlsListenerOptions): TlsListener => {
  const http2 = createHttp2Server(
    {
      Http2ServerRequest: Request,
      Http2ServerResponse: Response,
      settings: {
        maxConcurrentStreams: 100,
        maxHeaderListSize: maxHeaderSize,
        enableConnectProtocol: false,
        initialWindowSize: 256 * 1_024,
      },
      maxHeaderListPairs: 200,
      // Streams that are reset as soon as they are opened (CVE-2023-44487): a browser that leaves a page resets as many as it had open.
      streamResetBurst: 200,
      streamResetRate: 30,
      maxSessionInvalidFrames: 50,
      maxSessionRejectedStreams: 50,
      maxSettings: 16,
      maxSessionMemory: 10,
    },
    (request, response) => {
      // nghttp2 holds only those to what the settings say who have said that they have read them.
      if (isTooLarge(request)) response.writeHead(431).end()
      else handle(request, response)
    },
  )
  /** With how to end each. */
  const sessions = new Map<ServerHttp2Session, () => void>()
  const sockets = new Set<TLSSocket>()
  /** Connections that have not shaken hands yet, by their other end. */
  const greeting = new Map<string, Socket>()
  let isClosing = false

  const speakHttp2 = (socket: TLSSocket) => {
    // Emitted before the next line is over.
    http2.once('session', (session) => {
      const end = boundIdleness(session, socket, idleMs)
      sessions.set(session, end)
      session.once('close', () => sessions.delete(session))
      session.setLocalWindowSize(1_024 * 1_024)
      if (isClosing) end()
    })
    http2.emit('connection', socket)
  }

  const server = createTlsServer(
    {
      ...tlsSettings,
      ...certificates.unnamed(),
      ALPNProtocols: ['h2', 'http/1.1'],
      keepAlive: true,
      keepAliveInitialDelay: deadPeerMs,
      SNICallback: (name, done) => done(null, certificates.contextFor(name)),
    },
    (socket) => {
      greeting.delete(otherEnd(socket))
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // What goes wrong before someone else listens is no one's fault here.
      socket.on('error', () => socket.destroy())
      // Each costs the server more than who asks for it; TLS 1.3 has none.
      socket.disableRenegotiation()
      if (socket.alpnProtocol === 'h2') speakHttp2(socket)
      else http1.emit('connection', socket)
    },
  )
  server.on('connection', (socket: Socket) => {
    const key = otherEnd(socket)
    greeting.set(key, socket)
    const late = setTimeout(() => {
      if (greeting.get(key) === socket) socket.destroy()
    }, handshakeWithinMs)
    socket.once('close', () => {
      clearTimeout(late)
      if (greeting.get(key) === socket) greeting.delete(key)
    })
  })
  // A new context has new keys for tickets, so that no connection goes on with a certificate that was replaced.
  const unheard = certificates.onChange(() => server.setSecureContext({ ...tlsSettings, ...certificates.unnamed() }))

  return {
    listen: (port, host) => listen(server, port, host),
    close: (withinMs) =>
      new Promise((resolve) => {
        isClosing = true
        unheard()
        const deadline = setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, withinMs)
        server.close(() => {
          clearTimeout(deadline)
          resolve()
        })
        http1.closeIdleConnections()
        for (const socket of greeting.values()) socket.destroy()
        for (const end of sessions.values()) end()
      }),
  }
}

const otherEnd = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`

const isTooLarge = ({ rawHeaders }: Http2ServerRequest): boolean => {
  let size = 0
  for (const text of rawHeaders) size += text.length
  return size > maxHeaderSize
}

/**
 * Whatever else goes by, such as pings or half a request: without a request a connection is of no use. Answers how to end it, which waits for the
 * requests that run.
 */
const boundIdleness = (session: ServerHttp2Session, socket: TLSSocket, idleMs: number): (() => void) => {
  let open = 0
  const end = () => {
    session.close()
    const late = setTimeout(() => {
      session.destroy()
      // A client that reads nothing does not hear that it is over.
      socket.destroySoon()
    }, goodbyeMs)
    session.once('close', () => clearTimeout(late))
  }
  let timer = setTimeout(end, idleMs)
  session.on('stream', (stream) => {
    open++
    clearTimeout(timer)
    stream.once('close', () => {
      open--
      if (open === 0 && !session.closed) timer = setTimeout(end, idleMs)
    })
  })
  session.once('close', () => clearTimeout(timer))
  return () => {
    if (open === 0) end()
    else session.close()
  }
}
