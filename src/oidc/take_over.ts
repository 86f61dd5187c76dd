/** Where we do a step ourselves. Each says why; all of them are on the instance of one issuer, never on the library's own classes. */
import type { EventEmitter } from 'node:events'
import type { AccessToken, Client, ClientCredentials, Grant, KoaContextWithOIDC, OIDCContext, Provider, Session } from 'oidc-provider'
import { errors, Provider as ProviderClass } from 'oidc-provider'
import { randomToken } from '#/lib/crypto.ts'
import { storeBackchannelLogout } from '#/model/backchannel_logouts.ts'
import { type ClientClass, clientClassOf, factsOf, stillAllowed } from './clients.ts'
import { consumeAtEnd } from './consumption.ts'
import type { ProviderDeps } from './deps.ts'
import { fillInUserCode } from './device_pages.ts'
import { replaceLibraryForms } from './form_post.ts'
import { signAccessToken } from './jwt_access_token.ts'
import { restrictDiscovery } from './offered.ts'
import { checkRegistration, registeredClient } from './registration.ts'
import { openReplays } from './replays.ts'
import { requestMemory } from './request_memory.ts'
import { subjectOf } from './subject.ts'
import { offerTokenExchange } from './token_exchange.ts'

export const takeOver = (provider: Provider, deps: ProviderDeps): void => {
  trustNoHeader(provider, deps)
  answerRegisteredErrors(provider)
  findClients(provider, deps)
  checkRegistration(provider, deps)
  offerTokenExchange(provider, deps)
  makeAccessTokens(provider, deps)
  keepSessionIds(provider)
  narrowGrants(provider)
  tellOfLogout(provider, deps)
  fillInUserCode(provider)
  replaceLibraryForms(provider, deps)
  // The types know it as read-only.
  Object.assign(provider.ReplayDetection, { unique: openReplays(deps) })
  provider.use(async (context, next) => {
    await next()
    if (context.path.startsWith('/.well-known/') && context.body) restrictDiscovery(context.body as Record<string, unknown>, deps.offered)
    // Every request that consumes has come through here; the library's own context is the same object.
    await consumeAtEnd(deps, context as unknown as KoaContextWithOIDC)
  })
  logErrors(provider, deps)
}

/** Scheme, host and addresses are the issuer's, whatever a request says. */
const trustNoHeader = (provider: Provider, { authServer: { issuerUrl } }: ProviderDeps): void => {
  const { protocol, host } = new URL(issuerUrl)
  Object.defineProperties(provider.request, {
    protocol: { get: () => protocol.slice(0, -1) },
    secure: { get: () => protocol === 'https:' },
    host: { get: () => host },
    ips: { get: () => [] },
  })
  const known = new Map<string, string>()
  const context = (provider as unknown as { OIDCContext: { prototype: object } }).OIDCContext
  Object.assign(context.prototype, {
    urlFor: (name: string, options?: Record<string, unknown>) => {
      if (options) return provider.urlFor(name, options)
      let url = known.get(name)
      if (url === undefined) {
        url = provider.urlFor(name)
        known.set(name, url)
      }
      return url
    },
  })
}

const responseModes = new Set(['query', 'fragment', 'form_post', 'jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'])

/** Where the library answers an error that is not registered, or another than the one that is meant (RFC 6749 sections 4.1.2.1 and 5.2). */
const answerRegisteredErrors = (provider: Provider): void => {
  const context = (provider as unknown as { OIDCContext: { prototype: OIDCContext } }).OIDCContext.prototype
  const responseMode = Object.getOwnPropertyDescriptor(context, 'responseMode')?.get
  Object.defineProperty(context, 'responseMode', {
    get(this: OIDCContext) {
      const asked = this.params?.response_mode
      if (this.params && typeof asked === 'string' && !responseModes.has(asked)) {
        // The answer goes where it would without it.
        this.params.response_mode = undefined
        throw new errors.InvalidRequest('response_mode is not supported')
      }
      return responseMode?.call(this)
    },
  })
  const { prototype } = clientClassOf(provider)
  const { grantTypeAllowed, responseTypeAllowed } = prototype
  Object.assign(prototype, {
    grantTypeAllowed(this: Client, type: string) {
      if (grantTypeAllowed.call(this, type)) return true
      const oidc = ProviderClass.ctx?.oidc
      const isAsked = oidc?.route === 'device_authorization' || (oidc?.route === 'token' && oidc.params?.grant_type === type)
      if (isAsked) throw new errors.UnauthorizedClient('requested grant type is not allowed for this client')
      return false
    },
    responseTypeAllowed(this: Client, type: never) {
      if (!responseTypeAllowed.call(this, type))
        throw new errors.UnauthorizedClient('requested response_type is not allowed for this client')
      return true
    },
  })
}

/** RFC 6749 appendix A.1. Anything else is nobody's, and PostgreSQL would not even look for some of it. */
const clientIdPattern = /^[ -~]{1,255}$/

/** From the snapshot or, where they may register themselves, from their table; never made anew for a request. */
const findClients = (provider: Provider, deps: ProviderDeps): void => {
  const Class = clientClassOf(provider)
  const findRegistered = registeredClient(deps)
  Class.find = async (id) =>
    typeof id === 'string' && clientIdPattern.test(id)
      ? ((await deps.clients.find(Class, id)) ?? (await findRegistered(Class, id)))
      : undefined
  Object.assign(Class.prototype, {
    compareClientSecret(this: Client, actual: string) {
      const { secretMethod } = factsOf(this)
      // The library takes one for the other.
      const shown = ProviderClass.ctx?.oidc.params?.client_secret ? 'client_secret_post' : 'client_secret_basic'
      if (secretMethod !== undefined && secretMethod !== shown)
        throw new errors.InvalidClientAuth(`the client may authenticate by ${secretMethod} only`)
      return deps.clients.hasSecret(Class, this, actual)
    },
  } satisfies Partial<ClientClass['prototype']>)
}

type OwnToken = (AccessToken | ClientCredentials) & { client?: Client; format?: string; resourceServer?: { accessTokenFormat?: string } }

const nowInSeconds = () => Math.floor(Date.now() / 1000)

/** JWTs (RFC 9068) unless the client wants them opaque; the library would make them only for a named resource. */
const makeAccessTokens = (provider: Provider, deps: ProviderDeps): void => {
  const { issuer, keyring, claims } = deps
  for (const Class of [provider.AccessToken, provider.ClientCredentials]) {
    const { prototype } = Class as unknown as { prototype: { getValueAndPayload(): Promise<{ value: string; payload?: object }> } }
    const opaque = prototype.getValueAndPayload
    Object.assign(prototype, {
      generateTokenId(this: OwnToken) {
        this.format = this.client ? factsOf(this.client).accessTokenFormat : 'opaque'
        return randomToken(this.format === 'jwt' ? 16 : 32)
      },
      async getValueAndPayload(this: OwnToken) {
        if (this.format !== 'jwt') return opaque.call(this)
        const { client } = this
        if (!client) throw new Error('an access token without a client')
        const person = 'accountId' in this ? requestMemory().holder : undefined
        const scopes = this.scope ? this.scope.split(' ') : []
        const extra = claims.hasMappers
          ? await claims.extraOf({ person, client, facts: factsOf(client), use: 'access_token', scopes, requested: [] })
          : undefined
        const token = this as Partial<AccessToken> & { claims?: object; sid?: string; gty?: string; jkt?: string; 'x5t#S256'?: string }
        const accountId = token.accountId
        const source = ProviderClass.ctx?.oidc.entities
        const proven = source?.AuthorizationCode ?? source?.RefreshToken ?? source?.DeviceCode
        const now = nowInSeconds()
        const value = signAccessToken(keyring(), {
          ...extra,
          iss: issuer,
          sub: accountId === undefined ? client.clientId : await subjectOf(provider, accountId, client),
          aud: typeof this.aud === 'string' ? this.aud : issuer,
          client_id: client.clientId,
          iat: now,
          exp: this.exp ?? now + this.expiration,
          jti: this.jti,
          scope: this.scope || undefined,
          ...(proven?.authTime !== undefined && { auth_time: proven.authTime, acr: proven.acr, amr: proven.amr }),
          ...(token.jkt !== undefined && { cnf: { jkt: token.jkt } }),
          ...(accountId !== undefined && { grant_id: token.grantId, gty: token.gty, sid: token.sid }),
          ...(token.expiresWithSession && { session_uid: token.sessionUid }),
          ...(token.claims && Object.keys(token.claims).length > 0 && { claims: token.claims }),
          ...(extra && { mapped: Object.keys(extra) }),
        })
        return { value }
      },
    })
  }
}

/**
 * A session's cookie changes when someone signs in, and that is the flow's to do (src/identity/sessions.ts). The library would change it at every
 * return from a page too, by deleting the row and inserting it again: a window at another request then finds itself signed out.
 */
const keepSessionIds = (provider: Provider): void => {
  const { prototype } = provider.Session as unknown as { prototype: Session & { oldId?: string; touched?: boolean } }
  const { save, resetIdentifier } = prototype
  Object.assign(prototype, {
    resetIdentifier(this: Session & { touched?: boolean }) {
      if (ProviderClass.ctx?.oidc.route.endsWith('resume')) this.touched = true
      else resetIdentifier.call(this)
    },
    save(this: Session & { oldId?: string }, ttl: number) {
      // The row keeps its uid and takes the new token in one statement; nothing is to be deleted first.
      delete this.oldId
      return save.call(this, ttl)
    },
  })
}

/** What a client may no longer ask for, it no longer gets by a grant from before either. */
const narrowGrants = (provider: Provider): void => {
  const { prototype } = provider.Grant
  const { getOIDCScopeFiltered } = prototype
  Object.assign(prototype, {
    getOIDCScopeFiltered(this: Grant, filter: Set<string>) {
      const granted = getOIDCScopeFiltered.call(this, filter)
      const client = ProviderClass.ctx?.oidc.client
      return client && client.clientId === this.clientId ? stillAllowed(client, granted.split(' ')).join(' ') : granted
    },
  })
}

/** Notices are written down and delivered by logouts.ts, whoever ended the session: here only for a client that leaves a session that goes on. */
const tellOfLogout = (provider: Provider, { db, clock, issuer }: ProviderDeps): void => {
  Object.assign(clientClassOf(provider).prototype, {
    async backchannelLogout(this: Client, sub: string, sid: string | undefined) {
      if (ProviderClass.ctx?.oidc.params?.logout || sid === undefined) return
      await storeBackchannelLogout(db, { issuer, client_id: this.clientId, user_id: sub, sid }, clock())
    },
  })
}

const logErrors = (provider: Provider, { log, issuer }: ProviderDeps): void => {
  provider.on('server_error', (context, error) => {
    log.error({ event: 'oidc.failed', issuer, route: context.oidc?.route, error: error.stack ?? error.message }, 'an OpenID request failed')
  })
  const refused = (context: KoaContextWithOIDC, error: Error & { error_detail?: string }) => {
    log.debug(
      {
        event: 'oidc.refused',
        issuer,
        route: context.oidc?.route,
        client_id: context.oidc?.client?.clientId,
        error: error.message,
        detail: error.error_detail,
      },
      'an OpenID request was refused',
    )
  }
  // Its types list an overload for each name, which a list of names fits none of.
  const events = provider as unknown as EventEmitter
  for (const event of [
    'grant.error',
    'authorization.error',
    'userinfo.error',
    'introspection.error',
    'revocation.error',
    'pushed_authorization_request.error',
    'device_authorization.error',
    'end_session.error',
  ])
    events.on(event, refused)
  // What the library could not answer at all, such as a connection that broke.
  events.on('error', (error: Error) => log.debug({ event: 'oidc.connection', error: error.message }, 'an answer could not be sent'))
}
