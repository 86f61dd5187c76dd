/** Answers proxies that ask about each request: modes forward_single and forward_domain. What can't be understood is refused. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseHost, parseTarget } from './address.ts'
import type { GuardedApplication } from './core.ts'
import { type Decision, type DecisionDeps, decide } from './decision.ts'
import type { Guard } from './guard.ts'
import { identityHeaders, upstreamBasic } from './identity_headers.ts'
import type { openIdentityJwts } from './identity_jwt.ts'
import type { ForwardServer, Original } from './servers/server.ts'
import { outpostPath } from './sign_in.ts'

export interface ForwardDeps extends DecisionDeps {
  guard: () => Guard
  jwts: ReturnType<typeof openIdentityJwts>
}

export interface Asking {
  network: string
  /** Named among the trusted proxies. */
  isTrusted: boolean
  now: number
}

/** `rest`: path and query below the endpoint. */
export const answerForward = (
  deps: ForwardDeps,
  server: ForwardServer,
  { request, response, rest }: { request: IncomingMessage; response: ServerResponse; rest: string },
  asking: Asking,
): undefined | Promise<undefined> => {
  const original = server.original(request.headers, rest, request.method ?? 'GET')
  const target = parseTarget(original?.target)
  const host = original && parseHost(original.host, original.scheme)
  if (!original || !target || host === undefined) return say(response, 400, 'the proxy does not say which request it asks about')
  const application = deps.guard().find(host, target.path)
  if (!application || application.mode === 'proxy') return say(response, 403, 'no application of this outpost stands at that address')
  // The application's own address says whether it is https: a proxy behind another one may not know.
  const decision = decide(deps, {
    application,
    address: { host, ...target },
    cookies: request.headers.cookie,
    authorization: request.headers.authorization,
    network: asking.network,
    now: asking.now,
  })
  const respond = (made: Decision) => answer(deps, server, { response, request, original, application, decision: made }, asking)
  return decision instanceof Promise ? decision.then(respond) : respond(decision)
}

interface Answering {
  request: IncomingMessage
  response: ServerResponse
  original: Original
  application: GuardedApplication
  decision: Decision
}

const answer = (
  deps: ForwardDeps,
  server: ForwardServer,
  { request, response, original, application, decision }: Answering,
  asking: Asking,
): undefined => {
  if (decision.kind === 'refused') return say(response, 403, decision.reason)
  if (decision.kind === 'sign_in') {
    const isNavigation = server.redirects && isPage(original.method, request)
    if (!isNavigation) return say(response, 401, 'sign in first')
    const rd = encodeURIComponent(`${application.origin}${original.target}`)
    response.writeHead(302, {
      location: `${application.origin}${outpostPath}/start?rd=${rd}`,
      'cache-control': 'no-store',
      'content-length': 0,
    })
    response.end()
    return
  }
  const signedIn = decision.kind === 'allowed' ? decision : decision.signedIn
  const headers: Record<string, string | number> = {
    ...identityHeaders(application, signedIn),
    'cache-control': 'no-store',
    'content-length': 0,
  }
  if (application.headers.jwt) headers['X-Signet-Jwt'] = signedIn ? deps.jwts.of(application, signedIn, asking.now) : ''
  // Whoever is asked directly would read the password that is meant for the application.
  const basic = signedIn && asking.isTrusted ? upstreamBasic(application, signedIn.person) : undefined
  if (basic !== undefined) headers.Authorization = basic
  response.writeHead(200, headers)
  response.end()
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

const say = (response: ServerResponse, status: number, text: string): undefined => {
  const body = `${text}\n`
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  })
  response.end(body)
}
