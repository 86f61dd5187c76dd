import { hash } from 'node:crypto'
import { randomToken, sha256 } from '#/lib/crypto.ts'
import { redeemPlainCode } from '#/model/authorization_codes.ts'
import { factsOf } from '../clients.ts'
import { dateOf } from '../stores/store.ts'
import { clientParameters, provenClient } from './client.ts'
import { issue, type Source } from './issue.ts'
import { answerJson, hasOnly, type Quick, secondsNow } from './quick.ts'

const parameters = new Set(['grant_type', 'code', 'redirect_uri', 'code_verifier', ...clientParameters])
const verifierPattern = /^[\w.~-]{43,128}$/
const gty = 'authorization_code'

/** A code with PKCE, redeemed in one statement, which finds out whether it may be. Whoever comes too late takes the long way, where the grant ends. */
export const authorization_code: Quick = async (deps, { request, response, form }) => {
  if (deps.claims.hasMappers || !hasOnly(form, parameters)) return false
  const code = form.get('code')
  const redirect_uri = form.get('redirect_uri')
  const code_verifier = form.get('code_verifier')
  if (code === undefined || redirect_uri === undefined || code_verifier === undefined || !verifierPattern.test(code_verifier)) return false
  const client = provenClient(deps, request, form)
  if (!client?.grantTypes?.includes('authorization_code') || deps.access.isGuarded(client.clientId)) return false
  const { accessTokenFormat, policy } = factsOf(client)
  if (accessTokenFormat !== 'jwt') return false
  const now = secondsNow(deps.clock)
  const exp = now + policy.refreshTokenTTL
  const refresh_token = client.grantTypes.includes('refresh_token') ? randomToken() : undefined
  const row = await redeemPlainCode(
    deps.db,
    {
      code_hash: sha256(code),
      issuer: deps.issuer,
      client_id: client.clientId,
      redirect_uri,
      code_challenge: hash('sha256', code_verifier, 'base64url'),
    },
    refresh_token === undefined
      ? undefined
      : {
          token_hash: sha256(refresh_token),
          expires_at: dateOf(exp),
          payload: { kind: 'RefreshToken', gty, iat: now, iiat: now, exp, rotations: 0 },
        },
    deps.clock(),
  )
  if (!row) return false
  return answerJson(response, issue(deps, { client, source: row.payload as Source, grantedScope: row.granted_scope, gty, refresh_token }))
}
