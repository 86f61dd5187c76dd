import type { IncomingMessage, Server } from 'node:http'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import type { ServerResponse } from './listener.ts'
import type { Handle } from './parts.ts'
import type { Tls } from './tls.ts'

interface SecureListenerOptions {
  settings: Settings
  log: Log
  clock: Clock
  http1: Server
  answer: Handle
}

/** Undefined without TLS_PORT. Loaded where it is wanted: it takes HTTP/2 and TLS to load. */
export const openSecureListener = async ({ answer, ...options }: SecureListenerOptions): Promise<Tls | undefined> => {
  if (options.settings.TLS_PORT === undefined) return undefined
  const { openTls } = await import('./tls.ts')
  return openTls({
    ...options,
    // As far as anything here asks they are those of HTTP/1.1; http2_messages.ts sees to it.
    handle: (request, response) => answer(request as unknown as IncomingMessage, response as unknown as ServerResponse),
  })
}
