/** Requests of an outpost to an AuthServer: bounded in time and size, and sent where it is told, whatever the address names. */
import { type Agent, request as requestHttp } from 'node:http'
import { request as requestHttps, type Agent as TlsAgent } from 'node:https'

export interface Fetched {
  method?: string
  headers?: Record<string, string>
  body?: string
}

export interface FetchOptions {
  /** Where it goes instead of where its address leads. */
  at?: { host: string; port: number }
  agent?: Agent | TlsAgent | undefined
  withinMs?: number
}

const fetchMs = 10_000
/** Tokens, keys and what is said about a person. */
const largest = 4 * 1_024 * 1_024

export const fetchAt = (
  url: string,
  { method = 'GET', headers = {}, body }: Fetched,
  { at, agent, withinMs = fetchMs }: FetchOptions = {},
): Promise<Response> => {
  const { protocol, host, hostname, port, pathname, search } = new URL(url)
  const isTls = at === undefined && protocol === 'https:'
  const plain = Object.fromEntries(new Headers(headers))
  return new Promise((resolve, reject) => {
    const out = (isTls ? requestHttps : requestHttp)({
      host: at?.host ?? hostname.replace(/^\[|\]$/g, ''),
      port: at?.port ?? (port || (isTls ? 443 : 80)),
      ...(agent ? { agent } : {}),
      method,
      path: `${pathname}${search}`,
      headers: { ...plain, host, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
      // Of the whole: one that goes on sending byte by byte is not waited for either.
      signal: AbortSignal.timeout(withinMs),
    })
    out.once('response', (answer) => {
      const chunks: Buffer[] = []
      let size = 0
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > largest) out.destroy(new Error('core answered more than is taken'))
        else chunks.push(chunk)
      })
      answer.once('error', reject)
      answer.once('end', () => {
        const given = new Headers()
        for (const [name, value] of Object.entries(answer.headers))
          for (const one of [value].flat()) if (one !== undefined) given.append(name, one)
        const status = answer.statusCode ?? 502
        resolve(new Response(status === 204 || status === 304 ? null : Buffer.concat(chunks), { status, headers: given }))
      })
    })
    out.once('error', (error: Error & { code?: string }) =>
      reject(error.name === 'AbortError' ? new Error('core did not answer in time', { cause: error }) : error),
    )
    out.end(body)
  })
}
