import { sha256 } from '#/lib/crypto.ts'
import { findHolderOfToken } from '#/model/grants.ts'
import { isTokenRevoked } from '#/model/revoked_tokens.ts'
import { readAccessToken } from '../jwt_access_token.ts'
import { clientParameters, isOrdinary, provenClient } from './client.ts'
import { answerJson, hasOnly, type Quick } from './quick.ts'

const parameters = new Set(['token', 'token_type_hint', ...clientParameters])

/** A JWT access token of ours that holds (RFC 7662); whatever is not active takes the long way. */
export const introspection: Quick = async (deps, { request, response, form }) => {
  // Signed answers (RFC 9701) are asked for by Accept.
  if (!hasOnly(form, parameters) || request.headers.accept?.toLowerCase().includes('introspection')) return false
  const value = form.get('token')
  if (value === undefined || !provenClient(deps, request, form)) return false
  const claims = readAccessToken(deps.keyring(), value)
  const now = deps.clock()
  if (!claims || claims.exp <= now.getTime() / 1000 || claims.mapped) return false
  const owner = deps.ready(claims.client_id)
  if (!owner || !isOrdinary(owner)) return false
  const jti_hash = sha256(claims.jti)
  let sub: string | undefined
  if (claims.grant_id === undefined) {
    if (await isTokenRevoked(deps.db, jti_hash)) return false
  } else {
    const holder = await findHolderOfToken(
      deps.db,
      { grant_id: claims.grant_id, client_id: claims.client_id, session_uid: claims.session_uid ?? null, jti_hash, issuer: deps.issuer },
      now,
    )
    if (!holder) return false
    sub = holder.user_id
  }
  return answerJson(response, {
    active: true,
    sub,
    client_id: claims.client_id,
    exp: claims.exp,
    iat: claims.iat,
    sid: claims.sid,
    iss: deps.issuer,
    jti: claims.jti,
    aud: claims.aud === deps.issuer ? undefined : claims.aud,
    scope: claims.scope,
    cnf: claims.cnf,
    token_type: claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP',
  })
}
