import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { hasBody } from '#/lib/body_bound.ts'

/** Not by `import`, which reads everything the module exports, and with its WebSocket loads a client of HTTP: a tenth of a start. */
export const { createServer, ServerResponse } = process.getBuiltinModule('node:http')
export type ServerResponse = InstanceType<typeof ServerResponse>

/** Of all headers of a request. Sign-ins at applications stand in cookies of up to 22 kB. */
export const maxHeaderSize = 32 * 1_024

/** Connections that changed their protocol: the server counts them, but neither knows nor ends them. */
const changed = new WeakMap<Server, Set<Duplex>>()

/**
 * Bounds on every connection: a client that dawdles or floods is cut off. `upgrade` is emitted for web sockets alone: any other protocol would
 * be one that nobody here understands, such as HTTP/2, in which requests go by that no one has judged. Then it is an ordinary request.
 */
export const openListener = (handle: (request: IncomingMessage, response: ServerResponse) => void): Server => {
  const server = createServer(
    {
      maxHeaderSize,
      headersTimeout: 15_000,
      // Bodies are bounded one by one (body_bound.ts): an upload to an application may take hours.
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5_000,
      requireHostHeader: false,
      shouldUpgradeCallback: (request) =>
        request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket' && !hasBody(request),
    },
    handle,
  )
  const sockets = new Set<Duplex>()
  changed.set(server, sockets)
  server.on('upgrade', (_, socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return server
}

/** Resolves with address and port; rejects in plain words when it is taken or may not be used. */
export const listen = (server: NetServer, port: number, host: string): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = {
        EADDRINUSE: 'another program listens there',
        EACCES: 'ports below 1024 need more rights',
        EADDRNOTAVAIL: 'this machine has no such address',
      }[error.code ?? '']
      reject(new Error(`can't listen on ${host}:${port}: ${why ?? error.message}`))
    })
    server.listen(port, host, () => resolve(server.address() as AddressInfo))
  })

/** Stops accepting, lets running requests finish, cuts those that have not by the deadline. Web sockets, which have no end, are cut at once. */
export const closeServer = (server: Server, withinMs: number): Promise<void> =>
  new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), withinMs)
    server.close(() => {
      clearTimeout(deadline)
      resolve()
    })
    server.closeIdleConnections()
    for (const socket of changed.get(server) ?? []) socket.destroy()
  })
