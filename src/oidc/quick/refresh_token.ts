import { randomToken, sha256 } from '#/lib/crypto.ts'
import { rotatePlainRefreshToken } from '#/model/refresh_tokens.ts'
import { factsOf } from '../clients.ts'
import { clientParameters, provenClient } from './client.ts'
import { issue, type Source } from './issue.ts'
import { answerJson, hasOnly, type Quick, secondsNow } from './quick.ts'

const parameters = new Set(['grant_type', 'refresh_token', ...clientParameters])

/** Exchanged for its successor in one statement, which finds out whether it may be. Whoever comes too late takes the long way, where the family ends. */
export const refresh_token: Quick = async (deps, { request, response, form }) => {
  if (deps.claims.hasMappers || !hasOnly(form, parameters)) return false
  const value = form.get('refresh_token')
  const client = provenClient(deps, request, form)
  if (value === undefined || !client?.grantTypes?.includes('refresh_token') || deps.access.isGuarded(client.clientId)) return false
  const { accessTokenFormat, policy } = factsOf(client)
  if (accessTokenFormat !== 'jwt') return false
  const successor = randomToken()
  const row = await rotatePlainRefreshToken(
    deps.db,
    {
      old_hash: sha256(value),
      token_hash: sha256(successor),
      issuer: deps.issuer,
      client_id: client.clientId,
      familySeconds: policy.refreshTokenTTL,
      iat: secondsNow(deps.clock),
    },
    deps.clock(),
  )
  if (!row) return false
  const source = row.payload as Source
  const gty = source.gty?.endsWith('refresh_token') ? source.gty : `${source.gty ?? ''} refresh_token`.trim()
  return answerJson(response, issue(deps, { client, source, grantedScope: row.granted_scope, gty, refresh_token: successor }))
}
