/** The tokens that a person's grant gives a client: the same for a code and for a refresh token. */
import type { Client } from 'oidc-provider'
import { randomToken, sha256 } from '#/lib/crypto.ts'
import type { RefreshTokenToStore } from '#/model/refresh_tokens.ts'
import { factsOf } from '../clients.ts'
import { signIdToken } from '../id_token.ts'
import { signAccessToken } from '../jwt_access_token.ts'
import { dateOf } from '../stores/store.ts'
import { type QuickDeps, secondsNow } from './quick.ts'

/** What a code or refresh token says, in the library's words. */
export interface Source {
  clientId?: string
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
  iiat?: number
  rotations?: number
  iat?: number
  exp?: number
  kind?: string
  [field: string]: unknown
}

/** Fields that a plain one has; with any other it takes the long way. */
const plainFields = new Set([
  'clientId',
  'accountId',
  'grantId',
  'acr',
  'amr',
  'authTime',
  'nonce',
  'scope',
  'sessionUid',
  'expiresWithSession',
  'sid',
  'gty',
  'iiat',
  'rotations',
  'iat',
  'exp',
  'kind',
  'redirectUri',
  'codeChallenge',
  'codeChallengeMethod',
])

export const isPlainSource = (source: Source): boolean => {
  for (const field in source) if (!plainFields.has(field)) return false
  return true
}

export interface Issued {
  answer: Record<string, unknown>
  /** Undefined for a client without the grant. */
  refreshToken: RefreshTokenToStore | undefined
}

export interface Issue {
  client: Client
  source: Source
  grantedScope: string
  gty: string
  /** Undefined: none is to be made. */
  rotations: number | undefined
}

/** Made but not stored; undefined when the family of refresh tokens has lived its time. */
export const issue = (deps: QuickDeps, { client, source, grantedScope, gty, rotations }: Issue): Issued | undefined => {
  const { policy } = factsOf(client)
  const now = secondsNow(deps.clock)
  const granted = grantedScope.split(' ')
  const asked = (source.scope ?? '').split(' ')
  const scope = granted.filter((one) => asked.includes(one)).join(' ')
  const { accountId = '', grantId = '', acr, amr, authTime, nonce, sessionUid, expiresWithSession, sid } = source
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
    grant_id: grantId,
    gty,
    sid,
    session_uid: expiresWithSession ? sessionUid : undefined,
  })
  const id_token = asked.includes('openid')
    ? signIdToken(keyring, client.idTokenSignedResponseAlg, {
        sub: accountId,
        acr,
        amr,
        auth_time: authTime,
        nonce,
        sid,
        aud: client.clientId,
        exp: now + policy.idTokenTTL,
        iat: now,
        iss: deps.issuer,
      })
    : undefined
  let refreshToken: RefreshTokenToStore | undefined
  let refresh_token: string | undefined
  if (rotations !== undefined) {
    const iiat = source.iiat ?? now
    const lives = policy.refreshTokenTTL - (now - iiat)
    if (lives < 1) return undefined
    refresh_token = randomToken()
    refreshToken = {
      token_hash: sha256(refresh_token),
      grant_id: grantId,
      session_uid: expiresWithSession ? (sessionUid ?? null) : null,
      payload: {
        iat: now,
        exp: now + lives,
        accountId,
        acr,
        amr,
        authTime,
        clientId: client.clientId,
        expiresWithSession,
        grantId,
        gty,
        iiat,
        kind: 'RefreshToken',
        nonce,
        rotations,
        scope: source.scope,
        sessionUid,
        sid,
      },
      expires_at: dateOf(now + lives),
    }
  }
  return {
    answer: { access_token, expires_in: policy.accessTokenTTL, id_token, refresh_token, scope, token_type: 'Bearer' },
    refreshToken,
  }
}
