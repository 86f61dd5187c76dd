/**
 * Endpoints that browsers are sent to, by POST (OpenID Connect Core section 3.1.2.1, RP-Initiated Logout 1.0 section 2): answered by a redirect to the
 * same request as GET, so that the browser comes with its SameSite=Lax cookies. What would not fit into an address is refused.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody } from './body.ts'

/** Of the address; headers may hold 16 kB altogether. */
const largestQuery = 8 * 1024

type Redirected = { kind: 'redirected' } | { kind: 'refused'; error_description: string }

export const redirectToGet = async (
  request: IncomingMessage,
  response: ServerResponse,
  { url, tooLarge }: { url: string; tooLarge: string },
): Promise<Redirected> => {
  if (!/^application\/x-www-form-urlencoded(;|$)/i.test(request.headers['content-type'] ?? ''))
    return { kind: 'refused', error_description: 'only application/x-www-form-urlencoded bodies are supported' }
  const body = await readBody(request, largestQuery)
  if (body === undefined) return { kind: 'refused', error_description: tooLarge }
  // Written anew, so that nothing but a query can come out of it.
  const query = new URLSearchParams(body.toString('utf8')).toString()
  if (query.length > largestQuery) return { kind: 'refused', error_description: tooLarge }
  response.writeHead(303, { location: `${url}?${query}`, 'content-length': 0, 'cache-control': 'no-store' })
  response.end()
  return { kind: 'redirected' }
}
