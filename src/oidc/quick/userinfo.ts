import { sha256 } from '#/lib/crypto.ts'
import { findPersonOfToken } from '#/model/grants.ts'
import { factsOf, stillAllowed } from '../clients.ts'
import { readAccessToken } from '../jwt_access_token.ts'
import { isOrdinary } from './client.ts'
import { answerJson, type Quick } from './quick.ts'

const bearer = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/

/** GET with a JWT access token for us, of a client that takes plain JSON (OpenID Connect Core section 5.3). */
export const userinfo: Quick = async (deps, { request, response, form }) => {
  if (form.size) return false
  const value = bearer.exec(request.headers.authorization ?? '')?.[1]
  const claims = value === undefined ? undefined : readAccessToken(deps.keyring(), value)
  const now = deps.clock()
  if (!claims || claims.exp <= now.getTime() / 1000 || claims.grant_id === undefined) return false
  // For another audience, bound to a key, or with claims asked for one by one: the long way.
  if (claims.aud !== deps.issuer || claims.cnf || claims.claims || claims.scope === undefined) return false
  const client = deps.ready(claims.client_id)
  if (!client || !isOrdinary(client) || client.userinfoSignedResponseAlg) return false
  const person = await findPersonOfToken(
    deps.db,
    {
      grant_id: claims.grant_id,
      client_id: claims.client_id,
      session_uid: claims.session_uid ?? null,
      jti_hash: sha256(claims.jti),
      issuer: deps.issuer,
    },
    now,
  )
  if (!person?.granted_scope) return false
  const granted = stillAllowed(client, person.granted_scope.split(' '))
  const scopes = claims.scope.split(' ').filter((scope) => granted.includes(scope))
  if (!scopes.includes('openid')) return false
  const answer = await deps.claims.of({ person, client, facts: factsOf(client), use: 'userinfo', scopes, requested: [] })
  return answerJson(response, { sub: person.user_id, ...answer })
}
