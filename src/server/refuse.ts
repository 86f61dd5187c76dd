import type { IncomingMessage, ServerResponse } from 'node:http'
import { hasBody } from '#/lib/body_bound.ts'
import { requestIdOf } from '#/lib/http.ts'
import { type ProblemCode, problems } from '#/lib/problem.ts'

export interface Refusal {
  code: ProblemCode
  detail: string
  /** Seconds. */
  retryAfter?: number
}

/** Answers before any part of the product is reached: HTML, JSON or text, as Accept prefers. */
export const refuse = (request: IncomingMessage, response: ServerResponse, { code, detail, retryAfter }: Refusal): void => {
  const { status, title } = problems[code]
  const type = preferred(request.headers.accept)
  const body = bodies[type]({ status, title, detail })
  const requestId = requestIdOf(request)
  response.writeHead(status, {
    'content-type': type,
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    // In the place of an outpost, which says it by itself.
    ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    // What was not read of the request's body must not become the next request; in HTTP/2 it can not.
    ...(request.httpVersionMajor === 1 && hasBody(request) ? { connection: 'close' } : {}),
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
  })
  response.end(body)
}

interface Shown {
  status: number
  title: string
  detail: string
}

const bodies = {
  'application/problem+json': (shown: Shown) => JSON.stringify(shown),
  'text/html; charset=utf-8': ({ status, title, detail }: Shown) =>
    `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>${title}</title><body style="font:16px/1.5 system-ui;max-width:40rem;margin:10vh auto;padding:0 1rem"><h1>${title}</h1><p>${detail}</p><p>${status}</p>`,
  'text/plain; charset=utf-8': ({ status, title, detail }: Shown) => `${status} ${title}: ${detail}\n`,
}

const preferred = (accept = ''): keyof typeof bodies => {
  if (accept.includes('text/html')) return 'text/html; charset=utf-8'
  return accept.includes('json') ? 'application/problem+json' : 'text/plain; charset=utf-8'
}
