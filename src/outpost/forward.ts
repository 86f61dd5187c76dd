/** Answers proxies that ask about each request: modes forward_single and forward_domain. What can't be understood is refused. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asRead } from '#/kinds/header_name.ts'
import { parseHost, parseTarget } from './address.ts'
import type { Answers } from './answers.ts'
import { challengesTo, isLedToSignIn } from './challenge.ts'
import type { GuardedApplication, Person } from './core.ts'
import { type Decision, type DecisionDeps, decide } from './decision.ts'
import type { Guard } from './guard.ts'
import { identityHeaders, upstreamBasic } from './identity_headers.ts'
import type { openIdentityJwts } from './identity_jwt.ts'
import { isOwnToken } from './machines.ts'
import type { ForwardServer, Original } from './servers/server.ts'
import type { Session } from './session.ts'
import { startUrl } from './sign_in.ts'
import { statedNames } from './told_claims.ts'

export interface ForwardDeps extends DecisionDeps {
  guard: () => Guard
  jwts: ReturnType<typeof openIdentityJwts>
  answers: Answers
}

export interface Asking {
  network: string
  /** Named among the trusted proxies. */
  isTrusted: boolean
  requestId: string
  now: number
}

export const requestIdHeader = 'x-request-id'

/** `rest`: path and query below the endpoint. */
export const answerForward = (
  deps: ForwardDeps,
  server: ForwardServer,
  { request, response, rest }: { request: IncomingMessage; response: ServerResponse; rest: string },
  asking: Asking,
): undefined | Promise<undefined> => {
  const refuse = (status: number, text: string): undefined => {
    response.setHeader(requestIdHeader, asking.requestId)
    return deps.answers.refuse({ request, response }, status, text)
  }
  const original = server.original(request.headers, rest, request.method ?? 'GET')
  const target = parseTarget(original?.target)
  const host = original && parseHost(original.host, original.scheme)
  if (!original || !target || host === undefined) return refuse(400, 'the proxy does not say which request it asks about')
  const application = deps.guard().find(host, target.path)
  if (!application || application.mode === 'proxy') return refuse(403, 'no application of this outpost stands at that address')
  // The application's own address says whether it is https: a proxy behind another one may not know.
  const decision = decide(deps, {
    application,
    address: { host, ...target },
    cookies: request.headers.cookie,
    authorization: request.headers.authorization,
    method: original.isMethodGuessed ? undefined : original.method,
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
  if (decision.kind === 'refused' || decision.kind === 'sign_in') response.setHeader(requestIdHeader, asking.requestId)
  if (decision.kind === 'refused') return refuse(exchange, 403, decision.reason, { application, method: original.method })
  if (decision.kind === 'sign_in') {
    const location = isLedToSignIn(original.method, request) ? startUrl(application, original.target) : undefined
    if (location !== undefined && server.redirects) return redirect(exchange, location)
    if (location !== undefined) response.setHeader('location', location)
    response.setHeader('www-authenticate', challengesTo(request, application))
    return refuse(exchange, 401, 'sign in first')
  }
  const signedIn = decision.kind === 'allowed' ? decision : decision.signedIn
  const jwt = signedIn && application.headers.jwt ? deps.jwts.of(application, signedIn, asking.now) : ''
  response.writeHead(200, [
    ...told(deps.guard().headers, application, signedIn),
    'X-Signet-Jwt',
    jwt,
    'Authorization',
    authorizationFor({ request, application, decision }, asking),
    requestIdHeader,
    asking.requestId,
    'cache-control',
    'no-store',
    'content-length',
    '0',
  ])
  response.end()
}

/** For a session, what was told of it last. */
const tellings = new WeakMap<Session, { application: GuardedApplication; person: Person; headers: string[] }>()

/** Name and value in turn: node writes them as they stand, and those of a session are the same until someone changes. */
const told = (
  names: readonly string[],
  application: GuardedApplication,
  signedIn: { session: Session; person: Person } | undefined,
): string[] => {
  const known = signedIn && tellings.get(signedIn.session)
  if (known && known.application === application && known.person === signedIn.person) return known.headers
  const own = statedNames(application)
  const others = names.filter((name) => !own.has(asRead(name))).flatMap((name) => [name, ''])
  const headers = [...Object.entries(identityHeaders(application, signedIn)).flat(), ...others]
  if (signedIn) tellings.set(signedIn.session, { application, person: signedIn.person, headers })
  return headers
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
