import type { Client, KoaContextWithOIDC } from 'oidc-provider'
import { errors } from 'oidc-provider'
import { factsOf } from './clients.ts'

/**
 * Where no person chooses, a scope that the client can never get is `invalid_scope` (RFC 6749 section 5.2); the library would leave out what it does not
 * know. At the authorization endpoint it is to be ignored (OpenID Connect Core section 3.1.2.1), and the token's answer tells what was granted.
 */
export const checkAskedScopes = ({ oidc }: KoaContextWithOIDC, client: Client, offered: readonly string[]): void => {
  if (!isOwnToken(oidc) && oidc.route !== 'device_authorization') return
  const allowed = client.scope ? factsOf(client).scopes : offered
  const excess = [...oidc.requestParamScopes].filter((scope) => !allowed.includes(scope))
  if (excess.length) throw new errors.InvalidScope('requested scope is not allowed', excess.join(' '))
}

/** A client's own token for an API of which nothing that was asked would be left: an answer can not say so (RFC 6749 section 5.1). */
export const checkScopesOfResource = ({ oidc }: KoaContextWithOIDC, scopes: readonly string[]): void => {
  const asked = [...oidc.requestParamScopes]
  if (isOwnToken(oidc) && asked.length && !asked.some((scope) => scopes.includes(scope)))
    throw new errors.InvalidScope('requested scope is none of the resource', asked.join(' '))
}

export const isOwnToken = ({ route, params }: KoaContextWithOIDC['oidc']): boolean =>
  route === 'token' && params?.grant_type === 'client_credentials'
