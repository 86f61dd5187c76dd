import { sha256 } from '#/lib/crypto.ts'
import { findPlainRefreshToken, rotateRefreshToken } from '#/model/refresh_tokens.ts'
import { factsOf } from '../clients.ts'
import { endGrant } from '../consumption.ts'
import { clientParameters, provenClient } from './client.ts'
import { isPlainSource, issue, type Source } from './issue.ts'
import { answerJson, hasOnly, type Quick } from './quick.ts'
import { refuseUsed } from './refuse_used.ts'

const parameters = new Set(['grant_type', 'refresh_token', ...clientParameters])

/** One statement finds it with all it stands on, another exchanges it for its successor. */
export const refresh_token: Quick = async (deps, { request, response, form }) => {
  if (deps.claims.hasMappers || !hasOnly(form, parameters)) return false
  const value = form.get('refresh_token')
  const client = provenClient(deps, request, form)
  if (value === undefined || !client?.grantTypes?.includes('refresh_token') || factsOf(client).accessTokenFormat !== 'jwt') return false
  const now = deps.clock()
  const old_hash = sha256(value)
  const row = await findPlainRefreshToken(deps.db, { token_hash: old_hash, issuer: deps.issuer, client_id: client.clientId }, now)
  if (!row?.granted_scope) return false
  const source = row.payload as Source
  if (!isPlainSource(source) || source.clientId !== client.clientId || source.accountId !== row.user_id) return false
  const gty = source.gty?.endsWith('refresh_token') ? source.gty : `${source.gty ?? ''} refresh_token`.trim()
  const issued = issue(deps, {
    client,
    source: { ...source, iiat: source.iiat ?? source.iat ?? 0 },
    grantedScope: row.granted_scope,
    gty,
    rotations: (source.rotations ?? 0) + 1,
  })
  if (!issued?.refreshToken) return false
  if (await rotateRefreshToken(deps.db, old_hash, issued.refreshToken, now)) return answerJson(response, issued.answer)
  await endGrant(deps, { kind: 'RefreshToken', hash: old_hash, grant_id: source.grantId })
  return refuseUsed(response)
}
