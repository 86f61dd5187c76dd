import { hash } from 'node:crypto'
import { sameSecret, sha256 } from '#/lib/crypto.ts'
import { consumeAuthorizationCode, findPlainAuthorizationCode } from '#/model/authorization_codes.ts'
import { redeemCodeForRefreshToken } from '#/model/refresh_tokens.ts'
import { factsOf } from '../clients.ts'
import { endGrant } from '../consumption.ts'
import { clientParameters, provenClient } from './client.ts'
import { isPlainSource, issue, type Source } from './issue.ts'
import { answerJson, hasOnly, type Quick } from './quick.ts'
import { refuseUsed } from './refuse_used.ts'

const parameters = new Set(['grant_type', 'code', 'redirect_uri', 'code_verifier', ...clientParameters])
const verifierPattern = /^[\w.~-]{43,128}$/

/** A code with PKCE: one statement finds it with all it stands on, another consumes it and stores the refresh token. */
export const authorization_code: Quick = async (deps, { request, response, form }) => {
  if (deps.claims.hasMappers || !hasOnly(form, parameters)) return false
  const code = form.get('code')
  const redirect_uri = form.get('redirect_uri')
  const code_verifier = form.get('code_verifier')
  if (code === undefined || redirect_uri === undefined || code_verifier === undefined || !verifierPattern.test(code_verifier)) return false
  const client = provenClient(deps, request, form)
  if (!client?.grantTypes?.includes('authorization_code') || factsOf(client).accessTokenFormat !== 'jwt') return false
  const now = deps.clock()
  const code_hash = sha256(code)
  const row = await findPlainAuthorizationCode(deps.db, { code_hash, issuer: deps.issuer, client_id: client.clientId }, now)
  if (!row?.granted_scope) return false
  const source = row.payload as Source
  if (!isPlainSource(source) || source.clientId !== client.clientId || source.accountId !== row.user_id) return false
  if (source.redirectUri !== redirect_uri || source.codeChallengeMethod !== 'S256' || typeof source.codeChallenge !== 'string') return false
  if (!sameSecret(hash('sha256', code_verifier, 'base64url'), source.codeChallenge)) return false
  const issued = issue(deps, {
    client,
    source,
    grantedScope: row.granted_scope,
    gty: 'authorization_code',
    rotations: client.grantTypes.includes('refresh_token') ? 0 : undefined,
  })
  if (!issued) return false
  const isFirst = issued.refreshToken
    ? await redeemCodeForRefreshToken(deps.db, code_hash, issued.refreshToken, now)
    : await consumeAuthorizationCode(deps.db, code_hash, now)
  if (isFirst) return answerJson(response, issued.answer)
  await endGrant(deps, { kind: 'AuthorizationCode', hash: code_hash, grant_id: source.grantId })
  return refuseUsed(response)
}
