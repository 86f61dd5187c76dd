/** One AuthServer: its keys, its clients, and the provider made of them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Provider } from 'oidc-provider'
import { renderPage } from '#/flow/pages.ts'
import { readLocales } from '#/lib/catalogue.ts'
import type { Vault } from '#/lib/crypto.ts'
import { getCaller } from '#/lib/http.ts'
import type { Outbound } from '#/lib/outbound.ts'
import { Problem } from '#/lib/problem.ts'
import type { ResolvedAuthServer } from '#/resources/snapshot.ts'
import { openApplicationAccess } from './application_access.ts'
import { readBody, replayBody } from './body.ts'
import { openClaims } from './claims.ts'
import { openClients } from './clients.ts'
import type { OidcDeps, ProviderDeps } from './deps.ts'
import { handleInteraction, InteractionLost, interactionUid } from './interaction.ts'
import { markJwt, takesJwt } from './jwt_parameter.ts'
import { type Keyring, keyringOf, loadKeyring } from './keyring.ts'
import { offeredBy } from './offered.ts'
import { forLibrary, isOutage } from './outage.ts'
import { buildProvider } from './provider.ts'
import { tryQuick } from './quick/index.ts'
import type { QuickDeps } from './quick/quick.ts'
import { redirectToGet } from './redirect_to_get.ts'
import { mayRegister } from './registration_access.ts'
import { findRegistrationRefusal } from './registration_limits.ts'
import { rotationSettingsOf } from './rotation_settings.ts'

export interface Issuer {
  readonly issuerUrl: string
  handle(request: IncomingMessage, response: ServerResponse): void
  provider(): Promise<Provider>
  /** They are read anew before the next request. */
  forgetKeys(): void
  configurationChanged(): void
}

interface Ready {
  quick: QuickDeps
  provider: Provider
  deps: ProviderDeps
  callback: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  madeOf: string
  keyring: Keyring
  /** As it was when the keys were read. */
  rotationCause: string | undefined
}

type IssuerDeps = OidcDeps & { outbound: Outbound; vault: Vault }

const largestBody = 56 * 1024

export const openIssuer = (
  deps: IssuerDeps,
  { namespace, name, issuerUrl }: Pick<ResolvedAuthServer, 'namespace' | 'name' | 'issuerUrl'>,
): Issuer => {
  const { clock, snapshot } = deps
  let ready: Ready | undefined
  let isStale = false
  let making: Promise<Ready> | undefined

  const find = (): ResolvedAuthServer => {
    const authServer = snapshot.findAuthServer(namespace, name)
    if (!authServer) throw new Problem('misdirected', { detail: 'this AuthServer is gone' })
    return authServer
  }

  const make = async (): Promise<Ready> => {
    const authServer = find()
    const now = clock()
    const settings = rotationSettingsOf(authServer)
    const keyring =
      ready && ready.keyring.validUntil > now && !keysForgotten && ready.rotationCause === settings.cause
        ? ready.keyring
        : await loadKeyring(deps, { issuer: issuerUrl, settings }, now)
    keysForgotten = false
    isStale = false
    const offered = offeredBy(snapshot, authServer)
    const madeOf = JSON.stringify([
      keyring.keys.map(({ kid }) => kid),
      [...keyring.signers.values()].map(({ kid }) => kid),
      authServer.resource.metadata.resourceVersion,
      authServer.policy,
      authServer.dynamicRegistration,
      authServer.claimMappers.map(({ metadata }) => [metadata.namespace, metadata.name, metadata.resourceVersion]),
      offered,
    ])
    if (ready && ready.madeOf === madeOf) {
      ready = { ...ready, keyring, rotationCause: settings.cause }
      return ready
    }
    // Its own: requests of before still make clients for the provider they began with, and the library refuses another's.
    const clients = openClients(deps, { namespace, name, issuerUrl }, deps.vault)
    let current = keyring
    const providerDeps: ProviderDeps = {
      ...deps,
      db: forLibrary(deps.db),
      issuer: issuerUrl,
      authServer,
      clients,
      claims: openClaims(deps, authServer),
      access: openApplicationAccess(deps, authServer),
      offered,
      keyring: () => {
        if (current.validUntil <= clock()) current = keyringOf(issuerUrl, current.keys, clock())
        return current
      },
    }
    const provider = buildProvider(providerDeps)
    const quick = { ...providerDeps, ready: clients.ready }
    ready = { provider, deps: providerDeps, quick, callback: provider.callback(), madeOf, keyring, rotationCause: settings.cause }
    return ready
  }
  let keysForgotten = false

  /** Answers at once what is there and current. */
  const get = (): Ready | Promise<Ready> => {
    if (ready && !isStale && ready.keyring.validUntil > clock()) return ready
    making ??= make().finally(() => {
      making = undefined
    })
    return making
  }

  const handleWith = async (
    { provider, deps: providerDeps, quick: quickDeps, callback }: Ready,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    const quick = tryQuick(quickDeps, request, response)
    if (quick === true || (quick !== false && (await quick))) return
    const url = request.url ?? '/'
    const uid = interactionUid(url)
    if (uid !== undefined) {
      if (request.method !== 'GET' && request.method !== 'HEAD') return plain(response, 405, 'Method Not Allowed')
      await handleInteraction(providerDeps, provider, request, response, uid)
      return
    }
    if (request.method === 'POST') {
      const [, visited] = /^\/oauth2\/(authorize|end-session)(?:\?|$)/.exec(url) ?? []
      if (visited !== undefined) {
        const tooLarge = visited === 'authorize' ? 'the request is too large, push it instead (RFC 9126)' : 'the request is too large'
        const answered = await redirectToGet(request, response, { url: `${issuerUrl}/oauth2/${visited}`, tooLarge })
        if (answered.kind === 'refused') errorPage(request, response, 'invalid_request', answered.error_description)
        return
      }
      const offer = providerDeps.authServer.dynamicRegistration
      if (offer && /^\/oauth2\/register\/?(\?|$)/i.test(url)) {
        if (offer.initialAccessToken && !(await mayRegister(deps, request.headers.authorization, namespace, clock()))) {
          response.setHeader('www-authenticate', `Bearer realm="${issuerUrl}", error="invalid_token"`)
          return oauthError(response, 'invalid_token', 'an initial access token is needed: an API token that may create authclients', 401)
        }
        const { network } = getCaller(request)
        const refused = await findRegistrationRefusal(deps.db, { issuer: issuerUrl, network, isOpen: !offer.initialAccessToken }, clock())
        if (refused) {
          response.setHeader('retry-after', refused.retryAfter)
          return oauthError(response, 'temporarily_unavailable', refused.detail, refused.status)
        }
      }
      if (takesJwt(url)) {
        const body = await readBody(request, largestBody)
        if (body === undefined) return oauthError(response, 'invalid_request', 'failed to parse the request body')
        replayBody(request, markJwt(body))
      }
    } else if (request.method === 'GET' && /^\/oauth2\/device(\?|$)/.test(url)) {
      response.writeHead(303, { location: `${issuerUrl}/oauth2/device/verify${url.slice('/oauth2/device'.length)}`, 'content-length': 0 })
      response.end()
      return
    }
    await callback(request, response)
  }

  const errorPage = (request: IncomingMessage, response: ServerResponse, error: string, error_description?: string): void => {
    const caller = getCaller(request)
    const { html, headers } = renderPage(
      deps,
      'error',
      { error, ...(error_description !== undefined && { error_description }), request_id: caller.requestId },
      {
        locales: readLocales({ cookies: request.headers.cookie, acceptLanguage: request.headers['accept-language'] }),
        pathPrefix: caller.authServer.pathPrefix,
        product: caller.authServer.displayName,
      },
    )
    response.writeHead(400, { ...headers, 'content-length': Buffer.byteLength(html) })
    response.end(html)
  }

  const fail = (request: IncomingMessage, response: ServerResponse, error: Error): void => {
    if (response.headersSent) {
      response.destroy()
      return
    }
    if (error instanceof InteractionLost) {
      errorPage(request, response, 'invalid_request', 'this sign-in is over or was begun in another browser')
      return
    }
    const isAway = error instanceof Problem ? error.status === 503 : isOutage(error)
    deps.log.error(
      { event: 'oidc.failed', issuer: issuerUrl, 'http.request.id': getCaller(request).requestId, error: error.stack },
      'an OpenID request failed',
    )
    response.setHeader('cache-control', 'no-store')
    if (isAway) response.setHeader('retry-after', '5')
    oauthError(response, isAway ? 'temporarily_unavailable' : 'server_error', 'try again later', isAway ? 503 : 500)
  }

  return {
    issuerUrl,
    provider: async () => (await get()).provider,
    forgetKeys: () => {
      keysForgotten = true
      isStale = true
    },
    configurationChanged: () => {
      isStale = true
    },
    handle: (request, response) => {
      const got = get()
      const handled = got instanceof Promise ? got.then((made) => handleWith(made, request, response)) : handleWith(got, request, response)
      handled.catch((error: Error) => fail(request, response, error))
    },
  }
}

const plain = (response: ServerResponse, status: number, text: string): void => {
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

const oauthError = (response: ServerResponse, error: string, error_description: string, status = 400): void => {
  const body = JSON.stringify({ error, error_description })
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}
