/** An outpost, put together: what it answers itself, what it answers proxies, and what it lets through. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { isBelow } from '#/lib/below.ts'
import type { Clock } from '#/lib/clock.ts'
import { getGuardedCaller, getUpgrade } from '#/lib/http.ts'
import type { Log } from '#/lib/log.ts'
import { outpostPath } from '#/resources/outpost_path.ts'
import { parseTarget } from './address.ts'
import { awayRetryAfter, openAnswers, type Pages } from './answers.ts'
import { challengesTo, isLedToSignIn } from './challenge.ts'
import type { Core, GuardedApplication } from './core.ts'
import { type Decision, decide, type Question } from './decision.ts'
import { answerForward, requestIdHeader } from './forward.ts'
import { type Guard, openGuard } from './guard.ts'
import { identityHeaders, upstreamBasic } from './identity_headers.ts'
import { jwksOf, openIdentityJwts } from './identity_jwt.ts'
import { isOwnToken, openMachines } from './machines.ts'
import { openPeople } from './people.ts'
import { openProxy } from './proxy.ts'
import { goesUp } from './readings.ts'
import { servers } from './servers/index.ts'
import { clearSession, cookiesNamed, openSessions, plainName, writeSession } from './session.ts'
import { openSignIn, safeDestination, startUrl } from './sign_in.ts'
import { openStaying } from './staying.ts'
import { withEarlier } from './told_claims.ts'
import { NoRoom } from './turns.ts'

export interface OutpostDeps {
  core: Core
  log: Log
  clock: Clock
  pages: Pages
  version: string
}

export interface Outpost {
  handle(request: IncomingMessage, response: ServerResponse): void
  close(): Promise<void>
}

const authPath = `${outpostPath}/auth`

/** Its answer says which request it answers. */
const named = (exchange: Exchange): Exchange => {
  exchange.response.setHeader(requestIdHeader, exchange.caller.requestId)
  return exchange
}

/** What the AuthServer says back when a person comes from signing out there. */
const signedOut = 'signed_out'

export const openOutpost = ({ core, log, clock, pages, version }: OutpostDeps): Outpost => {
  let guard: Guard = openGuard(core.applications())
  core.onChange(() => {
    guard = openGuard(core.applications())
  })
  const answers = openAnswers(pages)
  const { page, refuse, redirect, away } = answers
  const deps = {
    core,
    log,
    answers,
    sessions: openSessions(),
    people: openPeople({ core, log }),
    machines: openMachines({ core }),
    guard: () => guard,
    jwts: openIdentityJwts(),
  }
  const signIn = openSignIn({ core })
  const proxy = openProxy({ log })

  const staying = openStaying({ core, clock, judge: (question) => decide(deps, question), guard: () => guard })

  const failedSignIn = (application: GuardedApplication, error: Error): undefined => {
    log.warn(
      { event: 'outpost.sign_in.failed', application: application.key, error: error.message.slice(0, 300) },
      'a sign-in or a sign-out was not finished',
    )
  }

  const leftOut = (application: GuardedApplication, claims: readonly string[]): void =>
    log.warn(
      { event: 'outpost.claims.left_out', application: application.key, claims },
      'claims are too large for the cookies of a sign-in; the application is not told them',
    )

  const own: Record<string, (exchange: Exchange, query: string) => Answered> = {
    // Where the pages here lead on to.
    '': (exchange) => {
      const application = guard.onHost(exchange.host)
      return application
        ? redirect(exchange, `${application.origin}${application.path}/`)
        : refuse(exchange, 404, 'no application stands here')
    },

    // For proxies that show a page of their own choice for 403.
    refused: (exchange) => {
      const application = guard.onHost(exchange.host)
      return application
        ? refuse(exchange, 403, 'this account may not use the application', { application })
        : refuse(exchange, 404, 'no application stands here')
    },

    ping: (exchange) => answers.json(exchange, { status: 'ok', version }),

    jwks: (exchange) => {
      const application = guard.onHost(exchange.host)
      return application ? answers.json(exchange, jwksOf(application)) : refuse(exchange, 404, 'no application stands here')
    },

    start: async (exchange, query) => {
      const rd = destinationIn(query)
      const application = applicationFor(guard, exchange.host, rd)
      if (!application) return refuse(exchange, 404, 'no application stands here')
      if (application.problem !== undefined)
        return refuse(exchange, 403, 'the application is closed: its settings are wrong', { application })
      if (core.isAway()) return away(exchange, application)
      const destination = { rd: safeDestination(rd, application, guard), cookies: exchange.request.headers.cookie }
      const begun = await signIn
        .begin(application, destination, clock().getTime())
        .catch((error: Error) => failedSignIn(application, error))
      if (!begun) return away(exchange, application)
      redirect(exchange, begun.location, begun.setCookies)
    },

    callback: async (exchange, query) => {
      const now = clock().getTime()
      const state = new URLSearchParams(query).get('state') ?? ''
      const applications = core.applications().filter(({ host }) => host === exchange.host)
      const known = signIn.findTry(applications, { state, cookies: exchange.request.headers.cookie }, now)
      const [first] = applications
      if (!first) return refuse(exchange, 404, 'no application stands here')
      // Nothing is known of who began it, so nothing is done: whoever wants in begins anew.
      if (!known)
        return page(exchange, 400, {
          name: 'error',
          variables: { error: 'conflict', retry: `${outpostPath}/start` },
          application: first,
        })
      const { application, found } = known
      const forget = signIn.forget(application, state)
      const retry = `${outpostPath}/start?rd=${encodeURIComponent(found.rd)}`
      const refused = new URLSearchParams(query).get('error')
      if (refused !== null) {
        exchange.response.setHeader('set-cookie', forget)
        // Nobody is asked for consent here, so it was a rule that refused them.
        return refused === 'access_denied'
          ? refuse(exchange, 403, 'this account may not use the application', { application })
          : page(exchange, 400, { name: 'error', variables: { error: refused.slice(0, 100), retry }, application })
      }
      try {
        const finished = await signIn.finish(application, found, query, now)
        if (!finished) {
          exchange.response.setHeader('set-cookie', forget)
          return refuse(exchange, 403, 'this account can not be used', { application })
        }
        const { idToken, tooLarge } = finished
        if (tooLarge.length) leftOut(application, tooLarge)
        const earlier = deps.sessions.read(exchange.request.headers.cookie, application, now)
        const isLive = earlier && !core.hasEnded(earlier.issuer, earlier.sid, earlier.signedInAt)
        const session = withEarlier(finished.session, isLive ? earlier : undefined)
        const cookies = writeSession(session, application, () => leftOut(application, ['what all applications are told']))
        redirect(exchange, found.rd, [...forget, hint(application, idToken), ...cookies])
      } catch (error) {
        failedSignIn(application, error as Error)
        if (core.isAway()) return away(exchange, application)
        exchange.response.setHeader('set-cookie', forget)
        page(exchange, 400, { name: 'error', variables: { error: 'conflict', retry }, application })
      }
    },

    sign_out: async (exchange, query) => {
      // A picture in what people write would sign out whoever reads it.
      if (isPartOfPage(exchange)) return refuse(exchange, 403, 'signing out wants a visit to this address')
      const applications = core.applications().filter(({ host }) => host === exchange.host)
      const { cookie } = exchange.request.headers
      const now = clock().getTime()
      // The cookie of an application with a path of its own is not sent here, but the hint is.
      const signedIn =
        applications.find((application) => deps.sessions.read(cookie, application, now)) ??
        applications.find((application) => cookiesNamed(cookie, hintName(application)).length > 0)
      const application = signedIn ?? applications.at(0)
      if (!application) return refuse(exchange, 404, 'no application stands here')
      if (!signedIn && new URLSearchParams(query).get('state') === signedOut)
        return page(exchange, 200, { name: 'logged_out', variables: { client: { name: application.displayName } }, application })
      // Who was refused has no session here, but one at the AuthServer, as whom they would only be refused again. Another site may lead people here
      // against their will: without the ID token they are asked there.
      const [idToken] = isLedHere(exchange) ? [] : cookiesNamed(cookie, hintName(application))
      const cookies = [...new Set([...applications.flatMap((each) => clearSession(each)), hint(application, '')])]
      const ending = () => signIn.endSession(application, { idToken: idToken || undefined, state: signedOut })
      const location = core.isAway() ? undefined : await ending().catch((error: Error) => failedSignIn(application, error))
      if (location !== undefined) return redirect(exchange, location, cookies)
      // Here they are signed out; that they are not at the AuthServer, they are told.
      exchange.response.setHeader('set-cookie', cookies)
      away(exchange, application)
    },
  }

  const guarded = (exchange: Exchange, target: { path: string; query: string }): Answered => {
    const { request, host, caller } = exchange
    const application = guard.find(host, target.path)
    if (application?.mode !== 'proxy') return refuse(exchange, 404, 'nothing stands at this address')
    if (goesUp(target.path)) return refuse(exchange, 400, 'a path may not go up')
    // Its answer is the request, with what only the application is told.
    if (request.method === 'TRACE') return refuse(exchange, 405, 'TRACE is not handed on')
    const now = clock().getTime()
    const question: Question = {
      application,
      address: { host, ...target },
      cookies: request.headers.cookie,
      authorization: request.headers.authorization,
      method: request.method,
      network: caller.network,
      now,
    }
    const decision = decide(deps, question)
    const follow = (made: Decision) => letThrough(exchange, question, made)
    return decision instanceof Promise ? decision.then(follow) : follow(decision)
  }

  const letThrough = (exchange: Exchange, question: Question, decision: Decision): undefined => {
    const { request, response, caller } = exchange
    const { application, address, now } = question
    if (decision.kind === 'refused') return refuse(exchange, 403, decision.reason, { application })
    if (decision.kind === 'sign_in') {
      if (isLedToSignIn(request.method ?? 'GET', request) && !getUpgrade(request))
        return redirect(exchange, startUrl(application, `${address.path}${address.query}`))
      response.setHeader('www-authenticate', challengesTo(request, application))
      return refuse(exchange, 401, 'sign in first')
    }
    const signedIn = decision.kind === 'allowed' ? decision : decision.signedIn
    const identity = signedIn ? identityHeaders(application, signedIn) : {}
    if (signedIn && application.headers.jwt) identity['X-Signet-Jwt'] = deps.jwts.of(application, signedIn, now)
    proxy.pass(request, response, {
      application,
      address,
      caller,
      identity,
      stated: guard.stated,
      // A token that was meant for us is not the application's to see.
      authorization:
        (signedIn && upstreamBasic(application, signedIn.person)) ?? (isOwnToken(request.headers.authorization) ? '' : undefined),
      staying: (end) => (signedIn ? staying.hold({ question, session: signedIn.session }, end) : () => {}),
    })
  }

  /** A proxy asks about a request. `path` is below that of all of them. */
  const asked = (exchange: Exchange, { path, query }: { path: string; query: string }): Answered => {
    const slash = path.indexOf('/', authPath.length + 1)
    const kind = path.slice(authPath.length + 1, slash < 0 ? undefined : slash)
    const server = Object.hasOwn(servers, kind) ? servers[kind] : undefined
    if (!server || (kind !== 'envoy' && slash >= 0)) return refuse(named(exchange), 404, 'no such proxy is known here')
    const { network, isTrusted, requestId } = exchange.caller
    return answerForward(
      deps,
      server,
      { request: exchange.request, response: exchange.response, rest: `${slash < 0 ? '/' : path.slice(slash)}${query}` },
      { network, isTrusted, requestId, now: clock().getTime() },
    )
  }

  const answer = (exchange: Exchange): Answered => {
    const { request } = exchange
    const target = parseTarget(request.url)
    if (target && isBelow(target.path, authPath)) return asked(exchange, target)
    named(exchange)
    if (!target) return refuse(exchange, 400, 'the request target is not a path')
    if (!isBelow(target.path, outpostPath)) return guarded(exchange, target)
    const name = target.path.slice(outpostPath.length + 1).replace(/\/$/, '')
    const isStyle = target.path === answers.stylesheetPath
    const handler = isStyle ? answers.stylesheet : Object.hasOwn(own, name) ? own[name] : undefined
    if (!handler) return refuse(exchange, 404, 'nothing stands at this address')
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(exchange, 405, 'this address takes GET')
    return handler(exchange, target.query)
  }

  return {
    handle: (request, response) => {
      const caller = getGuardedCaller(request)
      const exchange: Exchange = { request, response, caller, host: caller.host }
      const failed = (error: Error) => {
        // While core is away that is none: programs with tokens can not be asked about. Nor are more of them than are asked about at once.
        const level = error instanceof NoRoom ? 'debug' : core.isAway() ? 'warn' : 'error'
        log[level](
          {
            event: 'outpost.request.failed',
            error: level === 'error' ? error.stack : error.message,
            'signet.request_id': caller.requestId,
          },
          'a request was refused for a fault',
        )
        if (response.headersSent) return void response.destroy()
        response.setHeader('retry-after', awayRetryAfter)
        refuse(named(exchange), 503, 'the outpost can not answer now')
      }
      try {
        answer(exchange)?.catch(failed)
      } catch (error) {
        failed(error as Error)
      }
    },
    close: async () => {
      staying.close()
      proxy.close()
    },
  }
}

/** A promise where someone had to be asked. */
type Answered = undefined | Promise<undefined>

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  caller: ReturnType<typeof getGuardedCaller>
  host: string
}

/** The ID token goes along to the AuthServer when the person signs out, and says there whose session it is. Sent there alone. */
const hintName = (application: Pick<GuardedApplication, 'cookieKey' | 'origin'>): string =>
  `${application.origin.startsWith('https:') ? '__Secure-' : ''}${plainName(application)}_hint`
const hint = (application: GuardedApplication, idToken: string): string =>
  `${hintName(application)}=${idToken.length < 3_800 ? idToken : ''}; Path=${outpostPath}/sign_out; ${idToken === '' ? 'Max-Age=0; ' : ''}HttpOnly; SameSite=Lax${application.origin.startsWith('https:') ? '; Secure' : ''}`

/** By a page of another site, or by no visit at all, as far as browsers say. */
const isLedHere = ({ request: { headers } }: Exchange): boolean =>
  headers['sec-fetch-site'] === 'cross-site' || (headers['sec-fetch-dest'] ?? 'document') !== 'document'

/** As a picture, a frame or a style sheet of a page. */
const isPartOfPage = ({ request: { headers } }: Exchange): boolean =>
  !['document', 'empty'].includes(String(headers['sec-fetch-dest'] ?? 'document'))

/** `rd` comes encoded, or as a proxy's configuration pastes it: then all that follows is part of it. ingress-nginx encodes all but scheme and host. */
const destinationIn = (query: string): string | undefined => {
  const pasted = /^\?rd=(https?:\/\/[^/%?#&]+\/.*)$/i.exec(query)?.[1]
  return pasted ?? new URLSearchParams(query).get('rd') ?? undefined
}

/** Of several on one host the one that the person was on their way to. */
const applicationFor = (guard: Guard, host: string, rd: string | undefined): GuardedApplication | undefined => {
  const path = rd !== undefined && URL.canParse(rd, `http://${host}`) ? new URL(rd, `http://${host}`) : undefined
  return (path?.host === host ? guard.find(host, path.pathname) : undefined) ?? guard.onHost(host)
}
