import { errors, Provider } from 'oidc-provider'
import { extendGrant, findGrant, type GrantWithHolder, revokeGrant, storeGrant } from '#/model/grants.ts'
import { endGrant } from '../consumption.ts'
import { requestMemory } from '../request_memory.ts'
import { expiryOf, type OpenStore, secondsOf, withoutId } from './store.ts'

const payloadOf = (row: GrantWithHolder) => ({ ...row.grant_payload, jti: row.grant_id, exp: secondsOf(row.grant_expires_at) })

export const grantStore: OpenStore = ({ db, log, clock, issuer }) => ({
  upsert: async (id, payload, expiresIn) => {
    const now = clock()
    const memory = requestMemory()
    const grant = {
      grant_id: id,
      user_id: payload.accountId ?? '',
      issuer,
      client_id: payload.clientId ?? '',
      parent_grant_id: null,
      payload: withoutId(payload),
      expires_at: expiryOf(payload, expiresIn, now),
    }
    if (memory.grant?.grant_id !== id) await storeGrant(db, grant, now)
    else if ((await extendGrant(db, grant)) === 0) throw new errors.AccessDenied('what was agreed to has been withdrawn meanwhile')
    memory.grant = undefined
  },
  find: async (id) => {
    const memory = requestMemory()
    if (memory.grant?.grant_id === id) return payloadOf(memory.grant)
    const row = await findGrant(db, { grant_id: id, issuer })
    if (!row) return undefined
    memory.grant = row
    memory.holder = row
    return payloadOf(row)
  },
  destroy: async (id) => {
    // At the token endpoint the library ends a grant for one reason only.
    if (Provider.ctx?.oidc.route === 'token') await endGrant({ db, log, clock }, { kind: 'token', grant_id: id })
    else await revokeGrant(db, id)
    requestMemory().grant = undefined
  },
})
