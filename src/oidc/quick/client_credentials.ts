import { randomToken } from '#/lib/crypto.ts'
import { factsOf } from '../clients.ts'
import { signAccessToken } from '../jwt_access_token.ts'
import { clientParameters, provenClient } from './client.ts'
import { answerJson, hasOnly, type Quick, secondsNow } from './quick.ts'

const parameters = new Set(['grant_type', 'scope', ...clientParameters])

/** A client's own JWT for scopes of its own, for us as audience. Nothing is read and nothing is stored. */
export const client_credentials: Quick = (deps, { request, response, form }) => {
  if (deps.claims.hasMappers || !hasOnly(form, parameters)) return false
  const client = provenClient(deps, request, form)
  if (!client?.grantTypes?.includes('client_credentials')) return false
  const { accessTokenFormat, policy, resources, scopes } = factsOf(client)
  if (accessTokenFormat !== 'jwt' || resources.length) return false
  const scope = form.get('scope')
  if (scope !== undefined && !isSubset(scope, scopes)) return false
  const now = secondsNow(deps.clock)
  return answerJson(response, {
    access_token: signAccessToken(deps.keyring(), {
      iss: deps.issuer,
      sub: client.clientId,
      aud: deps.issuer,
      client_id: client.clientId,
      iat: now,
      exp: now + policy.accessTokenTTL,
      jti: randomToken(16),
      scope,
    }),
    expires_in: policy.accessTokenTTL,
    scope,
    token_type: 'Bearer',
  })
}

/** Each a scope of the client, each once. */
export const isSubset = (scope: string, scopes: readonly string[]): boolean => {
  const asked = scope.split(' ')
  return asked.every((one, index) => scopes.includes(one) && asked.indexOf(one) === index)
}
