import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Not by `import`, which reads everything the module exports, and with its WebSocket loads a client of HTTP: a tenth of a start. */
export const { createServer, ServerResponse } = process.getBuiltinModule('node:http')
export type ServerResponse = InstanceType<typeof ServerResponse>

/** Bounds on every connection: a client that dawdles or floods is cut off. */
export const openListener = (handle: (request: IncomingMessage, response: ServerResponse) => void): Server =>
  createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 15_000,
      // Bodies are bounded where they are read: an upload to an application may take hours.
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5_000,
      requireHostHeader: false,
    },
    handle,
  )

/** Resolves with address and port; rejects in plain words when it is taken or may not be used. */
export const listen = (server: Server, port: number, host: string): Promise<AddressInfo> =>
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

/** Stops accepting, lets running requests finish, cuts those that have not by the deadline. */
export const closeServer = (server: Server, withinMs: number): Promise<void> =>
  new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), withinMs)
    server.close(() => {
      clearTimeout(deadline)
      resolve()
    })
    server.closeIdleConnections()
  })
