/**
 * A relying party, as small as a real one gets: authorization code with PKCE, state and nonce by a certified library, claims
 * shown, sign-out by RP-initiated logout. It knows nothing of Signet but the issuer's address and its own credentials, so it
 * serves as a pattern for an application of yours. It needs no script in the browser.
 *
 * DEMO_ISSUER, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET (absent: a public client), DEMO_URL (http://localhost:9001).
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import * as client from 'openid-client'
import { errorPage, icon, notFoundPage, signedInPage, signedOutPage, style } from './pages.ts'

const env = (name: string, fallback?: string): string => {
  const value = process.env[name] ?? fallback
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

const issuer = new URL(env('DEMO_ISSUER', 'http://localhost:9000'))
const url = new URL(env('DEMO_URL', 'http://localhost:9001'))
const clientId = env('DEMO_CLIENT_ID', 'default.demo')
const clientSecret = process.env.DEMO_CLIENT_SECRET
const scope = 'openid profile email groups'

/** What this browser is about: a sign-in under way, or a person. Kept here; the browser holds a random name for it. */
type Visit =
  | { state: 'signing_in'; codeVerifier: string; oauthState: string; nonce: string; until: number }
  | {
      state: 'signed_in'
      claims: Record<string, unknown>
      userinfo: Record<string, unknown>
      scope: string
      idToken: string
      until: number
    }

const visits = new Map<string, Visit>()
const mostVisits = 10_000
const minutes = 60_000

const keepVisit = (visit: Visit): string => {
  const now = Date.now()
  for (const [name, { until }] of visits) if (until < now || visits.size >= mostVisits) visits.delete(name)
  const name = randomBytes(24).toString('base64url')
  visits.set(name, visit)
  return name
}

const cookieName = 'demo_visit'

const visitOf = (request: IncomingMessage): { name: string; visit: Visit } | undefined => {
  const name = new RegExp(`(?:^|; )${cookieName}=([\\w-]+)`).exec(request.headers.cookie ?? '')?.[1]
  const visit = name ? visits.get(name) : undefined
  return name && visit && visit.until > Date.now() ? { name, visit } : undefined
}

const setCookie = (name: string): string =>
  `${cookieName}=${name}; Path=/; HttpOnly; SameSite=Lax${url.protocol === 'https:' ? '; Secure' : ''}${name ? '' : '; Max-Age=0'}`

/** Discovered at the first sign-in and kept: the issuer may start after us. */
let configuration: Promise<client.Configuration> | undefined
const getConfiguration = (): Promise<client.Configuration> => {
  configuration ??= client
    .discovery(issuer, clientId, undefined, clientSecret === undefined ? client.None() : client.ClientSecretBasic(clientSecret), {
      // Plain http is for one's own machine.
      execute: issuer.protocol === 'http:' ? [client.allowInsecureRequests] : [],
      timeout: 10,
    })
    .catch((error: unknown) => {
      configuration = undefined
      throw error
    })
  return configuration
}

const page = (response: ServerResponse, status: number, html: string): void => {
  response
    .writeHead(status, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' ${issuer.origin} ${url.origin}; base-uri 'none'; frame-ancestors 'none'`,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
    .end(html)
}

const redirect = (response: ServerResponse, to: string | URL, cookie?: string): void => {
  response
    .writeHead(303, { location: String(to), 'cache-control': 'no-store', ...(cookie === undefined ? {} : { 'set-cookie': cookie }) })
    .end()
}

const redirectUri = new URL('/callback', url).href

const signIn = async (response: ServerResponse): Promise<void> => {
  const config = await getConfiguration()
  const codeVerifier = client.randomPKCECodeVerifier()
  const oauthState = client.randomState()
  const nonce = client.randomNonce()
  const to = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope,
    code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    state: oauthState,
    nonce,
  })
  redirect(response, to, setCookie(keepVisit({ state: 'signing_in', codeVerifier, oauthState, nonce, until: Date.now() + 30 * minutes })))
}

const callback = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const found = visitOf(request)
  if (found?.visit.state !== 'signing_in') {
    page(response, 400, errorPage({ title: 'This sign-in is not known here', detail: 'It took too long, or began in another browser.' }))
    return
  }
  visits.delete(found.name)
  const { codeVerifier, oauthState, nonce } = found.visit
  const config = await getConfiguration()
  const tokens = await client.authorizationCodeGrant(config, new URL(request.url ?? '/', url), {
    pkceCodeVerifier: codeVerifier,
    expectedState: oauthState,
    expectedNonce: nonce,
    idTokenExpected: true,
  })
  const claims = tokens.claims()
  if (!claims || !tokens.id_token) throw new Error('the answer has no ID token')
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  // A new name for the visit: the one from before the sign-in is worth nothing now.
  const name = keepVisit({
    state: 'signed_in',
    claims,
    userinfo,
    scope: tokens.scope ?? scope,
    idToken: tokens.id_token,
    until: Date.now() + 8 * 60 * minutes,
  })
  redirect(response, '/', setCookie(name))
}

const signOut = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const found = visitOf(request)
  if (found) visits.delete(found.name)
  if (found?.visit.state !== 'signed_in') {
    redirect(response, '/', setCookie(''))
    return
  }
  const to = client.buildEndSessionUrl(await getConfiguration(), {
    id_token_hint: found.visit.idToken,
    post_logout_redirect_uri: new URL('/', url).href,
  })
  redirect(response, to, setCookie(''))
}

const home = (request: IncomingMessage, response: ServerResponse): void => {
  const found = visitOf(request)
  if (found?.visit.state === 'signed_in') page(response, 200, signedInPage({ ...found.visit, issuer: issuer.origin }))
  else page(response, 200, signedOutPage({ issuer: issuer.origin }))
}

const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { pathname } = new URL(request.url ?? '/', url)
  const what = `${request.method} ${pathname}`
  // Another site must not be able to sign people out, or in, by a form of its own.
  if (request.method === 'POST' && request.headers['sec-fetch-site'] === 'cross-site')
    page(response, 403, errorPage({ title: 'Not from here', detail: 'That form stands on another site.' }))
  else if (what === 'GET /') home(request, response)
  else if (what === 'GET /icon.svg') response.writeHead(200, { 'content-type': 'image/svg+xml', 'cache-control': 'max-age=300' }).end(icon)
  else if (what === 'GET /style.css')
    response.writeHead(200, { 'content-type': 'text/css; charset=utf-8', 'cache-control': 'max-age=300' }).end(style)
  else if (what === 'POST /sign-in') await signIn(response)
  else if (what === 'GET /callback') await callback(request, response)
  else if (what === 'POST /sign-out') await signOut(request, response)
  else page(response, 404, notFoundPage())
}

const fail = (response: ServerResponse, error: unknown): void => {
  if (response.headersSent) {
    response.destroy()
    return
  }
  if (error instanceof client.AuthorizationResponseError)
    page(
      response,
      400,
      error.error === 'access_denied'
        ? errorPage({ title: 'You did not sign in', detail: 'You declined, and nothing was passed on.' })
        : errorPage({ title: 'The sign-in was refused', detail: error.error_description ?? error.error }),
    )
  else {
    process.stderr.write(`demo: ${(error as Error).message}\n`)
    page(response, 502, errorPage({ title: 'The sign-in did not work', detail: `${issuer.origin} did not answer as expected.` }))
  }
}

const server = createServer((request, response) => {
  request.resume()
  answer(request, response).catch((error: unknown) => fail(response, error))
})
server.on('error', (error: NodeJS.ErrnoException) => {
  process.stderr.write(
    `demo: can't listen on ${url.host}: ${error.code === 'EADDRINUSE' ? 'another program listens there' : error.message}\n`,
  )
  process.exit(1)
})
server.listen(Number(url.port) || (url.protocol === 'https:' ? 443 : 80), () => process.send?.('listening'))

const stop = () => {
  server.close(() => process.exit(0))
  server.closeAllConnections()
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
// Whoever started us is gone.
process.on('disconnect', stop)
