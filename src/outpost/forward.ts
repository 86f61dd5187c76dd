/** Answers proxies that ask about each request: modes forward_single and forward_domain. What can't be understood is refused. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseHost, parseTarget } from './address.ts'
import { type Answers, isPage } from './answers.ts'
import type { GuardedApplication } from './core.ts'
import { type Decision, type DecisionDeps, decide } from './decision.ts'
import type { Guard } from './guard.ts'
import { identityHeaders, upstreamBasic } from './identity_headers.ts'
import type { openIdentityJwts } from './identity_jwt.ts'
import { isOwnToken } from './machines.ts'
import type { ForwardServer, Original } from './servers/server.ts'
import { startUrl } from './sign_in.ts'

export interface ForwardDeps extends DecisionDeps {
  guard: () => Guard
  jwts: ReturnType<typeof openIdentityJwts>
  answers: Answers
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
  if (!original || !target || host === undefined)
    return deps.answers.refuse({ request, response }, 400, 'the proxy does not say which request it asks about')
  const application = deps.guard().find(host, target.path)
  if (!application || application.mode === 'proxy')
    return deps.answers.refuse({ request, response }, 403, 'no application of this outpost stands at that address')
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
  const { refuse, redirect } = deps.answers
  const exchange = { request, response }
  if (decision.kind === 'refused') return refuse(exchange, 403, decision.reason, { application, method: original.method })
  if (decision.kind === 'sign_in') {
    if (!isPage(original.method, request)) return refuse(exchange, 401, 'sign in first')
    const location = startUrl(application, original.target)
    if (server.redirects) return redirect(exchange, location)
    response.setHeader('location', location)
    return refuse(exchange, 401, 'sign in first')
  }
  const signedIn = decision.kind === 'allowed' ? decision : decision.signedIn
  const headers: Record<string, string | number> = {
    ...identityHeaders(application, signedIn),
    'X-Signet-Jwt': signedIn && application.headers.jwt ? deps.jwts.of(application, signedIn, asking.now) : '',
    Authorization: authorizationFor({ request, application, decision }, asking),
    'cache-control': 'no-store',
    'content-length': 0,
  }
  response.writeHead(200, headers)
  response.end()
}

/** What the application is to have in place of what came: that as well, but for a token of ours. */
const authorizationFor = (
  { request, application, decision }: Pick<Answering, 'request' | 'application' | 'decision'>,
  { isTrusted }: Asking,
): string => {
  const signedIn = decision.kind === 'allowed' ? decision : decision.kind === 'public' ? decision.signedIn : undefined
  if (application.headers.basic && signedIn) {
    // Whoever is asked directly would read the password that is meant for the application.
    return (isTrusted && upstreamBasic(application, signedIn.person)) || ''
  }
  const { authorization } = request.headers
  return isOwnToken(authorization) ? '' : (authorization ?? '')
}
