import { openConnection } from '../connection.ts'
import { authorizeAddress } from '../ours.ts'
import { openVisitor } from '../visitor.ts'
import type { FigureScenario } from './scenario.ts'

/**
 * Everything a browser fetches to show the first page of a sign-in, heads included; scripts and other hosts are counted as well. The other scenarios
 * sign in without any script.
 */
export const sign_in_page: FigureScenario = {
  kind: 'figure',
  measure: async (ours) => {
    const visitor = openVisitor(ours.origin)
    const page = await visitor.visit(authorizeAddress(ours, 'openid profile email'))
    visitor.close()
    if (page.status !== 200) throw new Error(`the sign-in page answered ${page.status}: ${page.body.slice(0, 300)}`)
    const connection = openConnection(ours.origin)
    const cookie = visitor.cookie(page.url.pathname)
    const fetched = await connection.send('GET', page.url.pathname + page.url.search, {
      accept: 'text/html',
      'accept-encoding': 'br, gzip',
      cookie,
    })
    const parts = linksOf(page.body).map((link) => new URL(link, page.url))
    const foreign = parts.filter(({ origin }) => origin !== ours.origin)
    const scripts = [...page.body.matchAll(/<script\b/g)].length
    let bytes = fetched.bytes
    for (const { pathname, search, origin } of parts)
      if (origin === ours.origin)
        bytes += (await connection.send('GET', pathname + search, { 'accept-encoding': 'br, gzip', cookie })).bytes
    connection.close()
    const inline = [...page.body.matchAll(/<script\b(?![^>]*\bsrc=)/g)].length
    if (inline || foreign.length) throw new Error(`${inline} inline scripts, ${foreign.length} requests to others: ${foreign.join(' ')}`)
    return {
      value: bytes,
      ours: `${bytes} bytes`,
      limit: '',
      details: {
        rps: null,
        limit_rps: null,
        ratio: null,
        p50_ms: null,
        p99_ms: null,
        bytes,
        requests: 1 + parts.length,
        scripts,
        third_party: foreign.length,
      },
    }
  },
}

/** What a page makes a browser fetch by itself. */
const linksOf = (html: string): string[] =>
  [
    ...[...html.matchAll(/<link\b[^>]*\brel="?(?:stylesheet|icon|preload)"?[^>]*>/g)].map(([tag]) => /\bhref="([^"]*)"/.exec(tag)?.[1]),
    ...[...html.matchAll(/<(?:img|source|iframe|script)\b[^>]*\bsrc="([^"]*)"/g)].map(([, source]) => source),
  ].filter((link): link is string => link !== undefined && !link.startsWith('data:'))
