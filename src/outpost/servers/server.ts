/** What differs between proxies that ask about each request: how they say which request it is, and what answer they understand. */
import type { IncomingHttpHeaders } from 'node:http'

/** The request that a proxy asks about. */
export interface Original {
  scheme: string
  /** As the browser sent it. */
  host: string
  /** Path and query, as the browser sent them. */
  target: string
  method: string
  /** The proxy does not say the method; it is taken for that of its own question. */
  isMethodGuessed?: true
}

export interface ForwardServer {
  /** `rest`: what follows the endpoint's own path. Undefined when the proxy does not say, or says it in a way that could mean two things. */
  original(headers: IncomingHttpHeaders, rest: string, method: string): Original | undefined
  /** Whether it hands a redirect on to the browser; else it makes one of its own from 401 and Location, which only a person on their way to a page is given. */
  redirects: boolean
}

/** A header that is there once. */
export const only = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' && header !== '' && !header.includes(',') ? header : undefined

/** A header that holds an address, in which commas are usual. */
export const onlyUrl = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' && header !== '' ? header : undefined

/** `given` where the header is missing; undefined where it says two things. */
export const onlyOr = (header: string | string[] | undefined, given: string): string | undefined =>
  header === undefined ? given : only(header)

/** Undefined where the header says two things. */
export const methodOf = (
  header: string | string[] | undefined,
  asked: string,
): Pick<Original, 'method' | 'isMethodGuessed'> | undefined => {
  if (header === undefined) return { method: asked, isMethodGuessed: true }
  const method = only(header)
  return method === undefined ? undefined : { method }
}

const schemes = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
])

/** Some proxies say `wss` of a request for a web socket. */
export const schemeOf = (header: string | undefined): string | undefined => schemes.get(header?.toLowerCase() ?? '')

/** Traefik and Caddy say it in the same headers, which they set themselves. */
export const fromForwardedHeaders: ForwardServer = {
  redirects: true,
  original: (headers, _, asked) => {
    const host = only(headers['x-forwarded-host'])
    const target = onlyUrl(headers['x-forwarded-uri'])
    const scheme = schemeOf(only(headers['x-forwarded-proto']))
    const method = methodOf(headers['x-forwarded-method'], asked)
    return host && target && scheme && method ? { scheme, host, target, ...method } : undefined
  },
}
