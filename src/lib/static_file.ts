/**
 * A file of ours that pages ask for. Its address holds its hash, so a browser asks once; it goes out compressed, which is done once for each
 * encoding, as well as it can be, and off the thread that answers.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

export interface StaticContent {
  type: 'text/css' | 'text/javascript'
  text: string
}

type Encoding = 'br' | 'gzip' | 'identity'

/** Answers GET and HEAD; who calls it has seen to the path. */
export type StaticAnswer = (request: IncomingMessage, response: ServerResponse) => void

export type Compress = Record<Encoding, (bytes: Buffer) => Promise<Buffer>>

const asWellAsCanBe: Compress = {
  br: (bytes) =>
    promisify(brotliCompress)(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
  gzip: (bytes) => promisify(gzip)(bytes, { level: 9 }),
  identity: async (bytes) => bytes,
}

export const openStaticFile = ({ type, text }: StaticContent, compress = asWellAsCanBe): StaticAnswer => {
  const bytes = Buffer.from(text)
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22)
  const encoded = new Map<Encoding, Promise<Buffer>>()
  const inEncoding = (encoding: Encoding): Promise<Buffer> => {
    let made = encoded.get(encoding)
    if (!made) {
      made = compress[encoding](bytes)
      encoded.set(encoding, made)
      // What failed for want of memory may succeed the next time.
      made.catch(() => encoded.delete(encoding))
    }
    return made
  }

  return ({ method, headers }, response) => {
    const encoding = chooseEncoding(headers['accept-encoding'])
    // One for each encoding: a strong validator tells bytes apart (RFC 9110 section 8.8.1).
    const etag = `"${hash}-${encoding}"`
    const shared = {
      etag,
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
      'x-content-type-options': 'nosniff',
    }
    if (isKnown(headers['if-none-match'], etag)) {
      response.writeHead(304, shared).end()
      return
    }
    inEncoding(encoding).then(
      (body) => {
        response.writeHead(200, {
          ...shared,
          'content-type': `${type}; charset=utf-8`,
          'content-length': body.length,
          ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
        })
        response.end(method === 'HEAD' ? undefined : body)
      },
      () => response.destroy(),
    )
  }
}

/** The best of ours that may be used (RFC 9110 section 12.5.3); bare bytes where none may. */
export const chooseEncoding = (accepted: string | string[] | undefined): Encoding => {
  const weights = new Map<string, number>()
  for (const part of String(accepted ?? '')
    .toLowerCase()
    .slice(0, 1_000)
    .split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim())
    const weight = parameters.find((text) => text.startsWith('q='))?.slice(2)
    weights.set(name, weight === undefined ? 1 : Number(weight) || 0)
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get('*') ?? 0
  const best = (['br', 'gzip'] as const).filter((name) => weightOf(name) > 0).sort((a, b) => weightOf(b) - weightOf(a))
  return best[0] ?? 'identity'
}

/** Weak comparison (RFC 9110 section 13.1.2). */
const isKnown = (ifNoneMatch: string | undefined, etag: string): boolean =>
  (ifNoneMatch ?? '')
    .slice(0, 4_096)
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === etag || tag === '*')
