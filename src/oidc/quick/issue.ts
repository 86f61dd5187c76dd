/** The tokens that a person's grant gives a client: the same for a code and for a refresh token. */
import type { Client } from 'oidc-provider'
import { randomToken } from '#/lib/crypto.ts'
import { factsOf, stillAllowed } from '../clients.ts'
import { signIdToken } from '../id_token.ts'
import { signAccessToken } from '../jwt_access_token.ts'
import { type QuickDeps, secondsNow } from './quick.ts'

/** What a code or refresh token says, in the library's words. */
export interface Source {
  accountId?: string
  grantId?: string
  acr?: string
  amr?: string[]
  authTime?: number
  nonce?: string
  scope?: string
  sessionUid?: string
  expiresWithSession?: boolean
  sid?: string
  gty?: string
}

export interface Issue {
  client: Client
  source: Source
  /** What the grant holds: no token says more. */
  grantedScope: string
  gty: string
  refresh_token: string | undefined
}

/** The answer of the token endpoint. */
export const issue = (deps: QuickDeps, { client, source, grantedScope, gty, refresh_token }: Issue): Record<string, unknown> => {
  const { policy } = factsOf(client)
  const now = secondsNow(deps.clock)
  const asked = (source.scope ?? '').split(' ')
  const scope = stillAllowed(client, grantedScope.split(' '))
    .filter((one) => asked.includes(one))
    .join(' ')
  const { accountId = '', acr, amr, authTime, sid } = source
  const keyring = deps.keyring()
  const access_token = signAccessToken(keyring, {
    iss: deps.issuer,
    sub: accountId,
    aud: deps.issuer,
    client_id: client.clientId,
    iat: now,
    exp: now + policy.accessTokenTTL,
    jti: randomToken(16),
    scope: scope || undefined,
    auth_time: authTime,
    acr,
    amr,
    grant_id: source.grantId,
    gty,
    sid,
    session_uid: source.expiresWithSession ? source.sessionUid : undefined,
  })
  const id_token = asked.includes('openid')
    ? signIdToken(keyring, client.idTokenSignedResponseAlg, {
        sub: accountId,
        acr,
        amr,
        auth_time: authTime,
        nonce: source.nonce,
        sid,
        aud: client.clientId,
        exp: now + policy.idTokenTTL,
        iat: now,
        iss: deps.issuer,
      })
    : undefined
  return { access_token, expires_in: policy.accessTokenTTL, id_token, refresh_token, scope, token_type: 'Bearer' }
}
