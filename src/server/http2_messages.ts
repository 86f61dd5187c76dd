/**
 * Requests and answers of HTTP/2 as everything behind the listener knows them from HTTP/1.1: what was said in pseudo-headers stands where HTTP/1.1
 * says it, once, and nothing is left by which two readers of a request could understand different things. What HTTP/2 itself forbids (upper case,
 * line ends, headers of a connection, a length that is not the body's) nghttp2 has refused before anything comes here.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { ReadableOptions } from 'node:stream'

const { constants, Http2ServerRequest, Http2ServerResponse } = process.getBuiltinModule('node:http2')

/** In the second form name and value in turn. */
type Headers = OutgoingHttpHeaders | readonly string[]

export class Request extends Http2ServerRequest {
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ReadableOptions, rawHeaders: readonly string[]) {
    super(stream, headers, options, rawHeaders)
    const settled = settle(headers, rawHeaders, stream.endAfterHeaders)
    for (const [name, value] of Object.entries(settled)) Object.defineProperty(this, name, { value, writable: true, enumerable: true })
    // Node ends a body that broke off as it ends a whole one, and whoever reads it would take the part for the whole.
    this.once('aborted', () => {
      if (!this.readableEnded) this.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
    })
    // Not everyone who reads a body listens for how it fails.
    this.on('error', () => {})
  }

  /** Of one that has come whole there is nothing left to end, and its answer may still be on its way. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.complete) this.stream.close(constants.NGHTTP2_CANCEL)
    done(error)
  }
}

export class Response extends Http2ServerResponse {
  /** HTTP/2 has no reason phrase. */
  override writeHead(status: number, phrase?: string | Headers, headers?: Headers): this {
    super.writeHead(status, (typeof phrase === 'string' ? headers : phrase) ?? {})
    return this
  }

  /** So that half an answer does not look like a whole one. */
  override destroy(): this {
    this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    return this
  }
}

/** What Node's own say of a body or an answer that was cut is what they say of one that came whole: it ends the stream then. */
Object.defineProperty(Request.prototype, 'complete', {
  get(this: Request) {
    return this.readableEnded || (this.stream.destroyed && !this.aborted)
  },
})
Object.defineProperties(Response.prototype, {
  writableFinished: {
    get(this: Response) {
      return this.stream.writableFinished && !this.stream.aborted
    },
  },
  destroyed: {
    get(this: Response) {
      return this.stream.destroyed
    },
  },
})

interface Settled {
  method: string
  url: string
  headers: IncomingHttpHeaders
  rawHeaders: string[]
}

/** No path, which the router refuses. */
const noTarget = ''

/** `pairs`: name and value in turn, as they came. */
export const settle = (received: IncomingHttpHeaders, pairs: readonly string[], endsWithHeaders: boolean): Settled => {
  const { ':method': method = '', ':path': path = '', ':authority': authority, ':scheme': scheme, ...headers } = received as Pseudo
  const rawHeaders: string[] = []
  const hosts = new Set(authority === undefined ? [] : [authority.toLowerCase()])
  let cookies: string | undefined
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index] as string
    const value = pairs[index + 1] as string
    if (name.startsWith(':')) continue
    if (name === 'host') hosts.add(value.toLowerCase())
    // They may come one by one (RFC 9113 section 8.2.3).
    else if (name === 'cookie') cookies = cookies === undefined ? value : `${cookies}; ${value}`
    else rawHeaders.push(name, value)
  }
  if (cookies !== undefined) rawHeaders.push('cookie', cookies)
  // One that differs from :authority makes a request malformed (RFC 9113 section 8.3.1); the router refuses several.
  for (const host of hosts) rawHeaders.push('host', host)
  const [host] = hosts
  if (host !== undefined) headers.host = host
  // How HTTP/1.1 says that there is a body whose length nobody knows yet.
  if (!endsWithHeaders && headers['content-length'] === undefined) {
    headers['transfer-encoding'] = 'chunked'
    rawHeaders.push('transfer-encoding', 'chunked')
  }
  return { method, url: scheme === 'https' && path.startsWith('/') ? path : noTarget, headers, rawHeaders }
}

interface Pseudo extends IncomingHttpHeaders {
  ':method'?: string
  ':path'?: string
  ':authority'?: string
  ':scheme'?: string
}
