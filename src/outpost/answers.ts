/**
 * What an outpost answers by itself. Its pages look as those of the AuthServer, and their style comes from below the outpost's own path, since
 * everything else on that host is the application's.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PageName, PageVariables } from '#/flow/page_variables.ts'
import type { PageRenderer } from '#/flow/pages.ts'
import { readLocales } from '#/lib/catalogue.ts'
import { openStaticFile } from '#/lib/static_file.ts'
import { outpostPath } from '#/resources/outpost_path.ts'
import type { GuardedApplication } from './core.ts'

export interface Exchanged {
  request: IncomingMessage
  response: ServerResponse
}

export type Pages = Pick<PageRenderer, 'render' | 'stylesheet'>

export interface Answers {
  page<Name extends PageName>(exchange: Exchanged, status: number, page: ShownPage<Name>): undefined
  /** A page for a person who asked an application for one and may not have it, a line for everyone else. `method`: of the request that is refused. */
  refuse(
    exchange: Exchanged,
    status: number,
    text: string,
    about?: { application: GuardedApplication; method?: string | undefined },
  ): undefined
  /** Core can't be reached, so nobody can sign in or out: as a page, JSON or text, as Accept prefers. */
  away(exchange: Exchanged, application: Pick<GuardedApplication, 'displayName'>): undefined
  json(exchange: Exchanged, value: unknown): undefined
  redirect(exchange: Exchanged, location: string, cookies?: string[]): undefined
  /** Where pages find their style. */
  readonly stylesheetPath: string
  stylesheet(exchange: Exchanged): undefined
}

export interface ShownPage<Name extends PageName> {
  name: Name
  variables: PageVariables[Name]
  application: Pick<GuardedApplication, 'displayName'>
}

/** Seconds. */
export const awayRetryAfter = 5

export const openAnswers = (pages: Pages): Answers => {
  const send = ({ response }: Exchanged, status: number, headers: Record<string, string>, body: string): undefined => {
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    response.end(body)
  }

  const page: Answers['page'] = (exchange, status, { name, variables, application }) => {
    const { headers } = exchange.request
    const locales = readLocales({ cookies: headers.cookie, acceptLanguage: headers['accept-language'] })
    const { html, headers: shown } = pages.render(name, variables, {
      locales,
      pathPrefix: outpostPath,
      product: application.displayName,
    })
    return send(exchange, status, shown, html)
  }

  const stylesheet = openStaticFile(pages.stylesheet)

  return {
    page,

    refuse: (exchange, status, text, about) => {
      const { request } = exchange
      if (about && status === 403 && isPage(about.method ?? request.method ?? 'GET', request)) {
        const { application } = about
        const isClosed = application.problem !== undefined
        const variables = isClosed ? { error: 'configuration_error' } : { error: 'not_allowed', retry: `${outpostPath}/sign_out` }
        return page(exchange, 403, { name: 'error', variables, application })
      }
      return send(exchange, status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }, `${text}\n`)
    },

    away: (exchange, application) => {
      exchange.response.setHeader('retry-after', awayRetryAfter)
      const { accept = '' } = exchange.request.headers
      if (accept.includes('text/html')) return page(exchange, 503, { name: 'error', variables: { error: 'sign_in_away' }, application })
      const shown = { status: 503, title: 'Not available at the moment', detail: 'nobody can sign in now; whoever is signed in goes on' }
      const [type, text] = accept.includes('json')
        ? ['application/problem+json', JSON.stringify(shown)]
        : ['text/plain; charset=utf-8', `${shown.status} ${shown.title}: ${shown.detail}\n`]
      return send(exchange, 503, { 'content-type': type, 'cache-control': 'no-store' }, text)
    },

    json: (exchange, value) =>
      send(exchange, 200, { 'content-type': 'application/json', 'cache-control': 'no-store' }, JSON.stringify(value)),

    redirect: ({ response }, location, cookies = []) => {
      response.writeHead(302, {
        location,
        'cache-control': 'no-store',
        'content-length': 0,
        ...(cookies.length ? { 'set-cookie': cookies } : {}),
      })
      response.end()
    },

    stylesheetPath: `${outpostPath}${pages.stylesheet.path}`,
    stylesheet: ({ request, response }) => {
      stylesheet(request, response)
      return undefined
    },
  }
}

/** A browser that shows the answer to a person; programs and scripts are told 401. */
export const isPage = (method: string, { headers }: Pick<IncomingMessage, 'headers'>): boolean => {
  if (method !== 'GET' && method !== 'HEAD') return false
  const mode = headers['sec-fetch-mode']
  if (mode !== undefined) return mode === 'navigate'
  if (headers['x-requested-with'] !== undefined) return false
  const accept = headers.accept ?? '*/*'
  return accept.includes('text/html') || accept.includes('*/*')
}
