/**
 * How a person signs in at an outpost: it is a client of core (authorization code with PKCE). What must be known when they come back is sealed
 * into a cookie for this one try, so nothing is stored; a try is good once, since its code is, and in this browser alone.
 */

import { hash } from 'node:crypto'
import type { Configuration } from 'openid-client'
import { isUnder } from '#/kinds/public_path.ts'
import { isBelow } from '#/lib/below.ts'
import { randomToken } from '#/lib/crypto.ts'
import { outpostPath } from '#/resources/outpost_path.ts'
import { parseHost } from './address.ts'
import type { Core, GuardedApplication } from './core.ts'
import type { Guard } from './guard.ts'
import { cookiesNamed, demandsOf, type Session, seal, sessionMs, unseal } from './session.ts'
import { claimsOf, wantedClaims, wantedKey } from './told_claims.ts'

interface Try {
  application: string
  state: string
  nonce: string
  verifier: string
  /** Hash of what the browser brings in a cookie that no other host can plant, or someone else's try could be finished in it. */
  boundTo: string
  /** Where the person wanted to go. */
  rd: string
  expiresAt: number
  /** What the AuthServer was asked for. */
  wanted: string | undefined
}

const tryMs = 15 * 60_000
/** What browsers keep of one cookie, its name and attributes included. */
const longestCookie = 4_000
/** So many that were begun and not finished: a browser that opens many pages at once must not send more than is taken. */
const mostTries = 4
/** Longer addresses are not gone back to: they would have to fit into another one, and into a cookie. */
const longestDestination = 3_000

const tryPrefix = 'signet_outpost_try_'
const digest = (text: string): string => hash('sha256', text, 'hex')
const tryCookie = (state: string) => `${tryPrefix}${digest(state).slice(0, 12)}`
const isSecure = ({ origin }: Pick<GuardedApplication, 'origin'>): boolean => origin.startsWith('https:')
const tryAttributes = (application: GuardedApplication) =>
  `Path=${outpostPath}; HttpOnly; SameSite=Lax${isSecure(application) ? '; Secure' : ''}`

/** Small, since browsers send it to the application as well: its prefix wants `/` for a path. */
const bindingCookie = (application: GuardedApplication, name: string) => `${isSecure(application) ? '__Host-' : ''}${name}_of`
const bindingAttributes = (application: GuardedApplication) => `Path=/; HttpOnly; SameSite=Lax${isSecure(application) ? '; Secure' : ''}`

/** Both cookies of a try taken back. */
const withdrawn = (application: GuardedApplication, name: string): string[] => [
  `${name}=; Max-Age=0; ${tryAttributes(application)}`,
  `${bindingCookie(application, name)}=; Max-Age=0; ${bindingAttributes(application)}`,
]

const safeHome = ({ origin, path }: GuardedApplication): string => `${origin}${path}/`

/**
 * Where a person may be sent after their sign-in: to the application, or to another one that shares its sign-in. Anything else, and anything
 * that browsers read otherwise than we do, becomes the application's own address.
 */
export const safeDestination = (rd: string | undefined, application: GuardedApplication, guard: Guard): string => {
  const home = safeHome(application)
  if (rd === undefined || rd.length > longestDestination || !/^[!-~]+$/.test(rd) || rd.includes('\\')) return home
  const text = rd.startsWith('/') && !rd.startsWith('//') ? `${application.origin}${rd}` : rd
  if (!/^https?:\/\/[^/]/i.test(text) || !URL.canParse(text)) return home
  const url = new URL(text)
  if (url.username || url.password) return home
  const host = parseHost(url.host, url.protocol.slice(0, -1))
  const found = host === undefined ? undefined : guard.find(host, url.pathname)
  if (!found || url.origin !== found.origin || isBelow(url.pathname, outpostPath)) return home
  const isSame = found.key === application.key
  const isShared =
    application.mode === 'forward_domain' &&
    found.mode === 'forward_domain' &&
    found.cookieKey === application.cookieKey &&
    isUnder(url.hostname, application.cookieDomain ?? '')
  return isSame || isShared ? url.href : home
}

/** Where a browser begins to sign in, to come back to an address of the application afterwards. */
export const startUrl = ({ origin }: Pick<GuardedApplication, 'origin'>, target: string): string => {
  const rd = `${origin}${target}`
  return `${origin}${outpostPath}/start${rd.length > longestDestination ? '' : `?rd=${encodeURIComponent(rd)}`}`
}

export const openSignIn = ({ core }: { core: Core }) => {
  const clients = new WeakMap<GuardedApplication, Promise<Configuration>>()

  /** Loaded when the first person signs in. */
  const library = () => import('openid-client')

  const clientOf = (application: GuardedApplication): Promise<Configuration> => {
    let client = clients.get(application)
    if (!client) {
      client = discover(application)
      clients.set(application, client)
      client.catch(() => clients.delete(application))
    }
    return client
  }

  const discover = async (application: GuardedApplication): Promise<Configuration> => {
    const { allowInsecureRequests, customFetch, discovery, ClientSecretBasic, ClientSecretPost } = await library()
    const fetch = (url: string, options: { method?: string; headers?: unknown; body?: unknown }) =>
      core.fetch(url, {
        method: options.method ?? 'GET',
        headers: options.headers as Record<string, string>,
        ...(options.body === undefined || options.body === null ? {} : { body: String(options.body) }),
      })
    const { clientId } = application.client
    const isBasic = application.authMethod !== 'client_secret_post'
    return await discovery(
      new URL(application.issuer.url),
      clientId,
      { client_id: clientId },
      isBasic ? ClientSecretBasic(application.clientSecret) : ClientSecretPost(application.clientSecret),
      {
        [customFetch]: fetch as never,
        ...(application.issuer.url.startsWith('http:') ? { execute: [allowInsecureRequests] } : {}),
        timeout: 10,
      },
    )
  }

  return {
    /** Address of the AuthServer to go to, the cookie of this try, and those of older ones taken back where there are too many. */
    begin: async (
      application: GuardedApplication,
      { rd, cookies }: { rd: string; cookies: string | undefined },
      now: number,
    ): Promise<{ location: string; setCookies: string[] }> => {
      const { buildAuthorizationUrl, buildAuthorizationUrlWithPAR, calculatePKCECodeChallenge } = await library()
      const client = await clientOf(application)
      const verifier = randomToken()
      const state = randomToken()
      const nonce = randomToken()
      const parameters = {
        redirect_uri: `${application.origin}${outpostPath}/callback`,
        scope: 'openid',
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
        ...claimsParameter(wantedClaims(application)),
      }
      const url = application.pushed ? await buildAuthorizationUrlWithPAR(client, parameters) : buildAuthorizationUrl(client, parameters)
      const binding = randomToken()
      const kept: Try = {
        application: application.key,
        state,
        nonce,
        verifier,
        boundTo: digest(binding),
        rd,
        expiresAt: now + tryMs,
        wanted: wantedKey(application),
      }
      const home = safeHome(application)
      const sealedFor = (destination: string) => seal({ ...kept, rd: destination }, application.cookieKey, 'try')
      const sealed = sealedFor(rd)
      const value = sealed.length > longestCookie - 200 ? sealedFor(home) : sealed
      return {
        location: url.href,
        setCookies: [
          `${tryCookie(state)}=${value}; Max-Age=${tryMs / 1_000}; ${tryAttributes(application)}`,
          `${bindingCookie(application, tryCookie(state))}=${binding}; Max-Age=${tryMs / 1_000}; ${bindingAttributes(application)}`,
          ...triesIn(cookies)
            .slice(0, 1 - mostTries)
            .flatMap((name) => withdrawn(application, name)),
        ],
      }
    },

    /** The application that an answer to a try is for; undefined when this browser made none, or too long ago. */
    findTry: (
      applications: readonly GuardedApplication[],
      { state, cookies }: { state: string; cookies: string | undefined },
      now: number,
    ) => {
      const name = tryCookie(state)
      for (const sealed of cookiesNamed(cookies, name))
        for (const application of applications) {
          const found = unseal(sealed, application.cookieKey, 'try') as Try | undefined
          if (!found || found.application !== application.key || found.state !== state || found.expiresAt <= now) continue
          const [binding = ''] = cookiesNamed(cookies, bindingCookie(application, name))
          if (digest(binding) === found.boundTo) return { application, found }
        }
      return undefined
    },

    forget: (application: GuardedApplication, state: string): string[] => withdrawn(application, tryCookie(state)),

    /** Throws for an answer that is not right. Undefined: there is no such person any more. */
    finish: async (
      application: GuardedApplication,
      found: Try,
      query: string,
      now: number,
    ): Promise<{ session: Session; idToken: string; tooLarge: string[] } | undefined> => {
      const { authorizationCodeGrant } = await library()
      const client = await clientOf(application)
      const url = new URL(`${application.origin}${outpostPath}/callback${query}`)
      const tokens = await authorizationCodeGrant(client, url, {
        pkceCodeVerifier: found.verifier,
        expectedState: found.state,
        expectedNonce: found.nonce,
        idTokenExpected: true,
      })
      const claims = tokens.claims()
      if (!claims || typeof claims.sid !== 'string' || !tokens.id_token) throw new Error('the ID token does not name a session')
      const person = await core.findPerson(claims.sub)
      if (!person?.active) return undefined
      // What the application wants may have changed meanwhile: then it is asked for anew.
      const told = found.wanted === wantedKey(application) ? claimsOf(claims, application, now) : { claims: {}, tooLarge: [] }
      const session: Session = {
        sid: claims.sid,
        issuer: application.issuer.url,
        person,
        acr: typeof claims.acr === 'string' ? claims.acr : '1fa',
        amr: textsOf(claims.amr),
        vouchedFor: demandsOf(application),
        signedInAt: now,
        expiresAt: now + sessionMs,
        claims: told.claims,
      }
      return { session, idToken: tokens.id_token, tooLarge: told.tooLarge }
    },

    /** Where signing out goes on: the session at the AuthServer ends too. They come back with `state`. */
    endSession: async (
      application: GuardedApplication,
      { idToken, state }: { idToken: string | undefined; state: string },
    ): Promise<string> => {
      const { buildEndSessionUrl } = await library()
      const client = await clientOf(application)
      return buildEndSessionUrl(client, {
        post_logout_redirect_uri: `${application.origin}${outpostPath}/sign_out`,
        client_id: application.client.clientId,
        state,
        ...(idToken === undefined ? {} : { id_token_hint: idToken }),
      }).href
    },
  }
}

/** Browsers send the oldest first (RFC 6265 section 5.4). */
const triesIn = (cookies = ''): string[] =>
  cookies
    .split(';')
    .map((pair) => pair.split('=', 1)[0]?.trim() ?? '')
    .filter((name) => name.startsWith(tryPrefix) && /^[0-9a-f]{12}$/.test(name.slice(tryPrefix.length)))

/** In the ID token, whichever scope else brings them (OpenID Connect Core section 5.5). */
const claimsParameter = (names: readonly string[]): { claims?: string } =>
  names.length ? { claims: JSON.stringify({ id_token: Object.fromEntries(names.map((name) => [name, null])) }) } : {}

export type SignIn = ReturnType<typeof openSignIn>

const textsOf = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [])
