import { sha256 } from '#/lib/crypto.ts'
import { findAuthorizationCode, storeAuthorizationCode } from '#/model/authorization_codes.ts'
import { rememberRow, requestMemory } from '../request_memory.ts'
import { expiryOf, type OpenStore, secondsOf, underGrant, withoutId } from './store.ts'

export const authorizationCodeStore: OpenStore = ({ db, clock, issuer }) => ({
  upsert: async (id, payload, expiresIn) => {
    await underGrant(
      storeAuthorizationCode(db, {
        code_hash: sha256(id),
        grant_id: payload.grantId ?? '',
        session_uid: payload.sessionUid ?? null,
        payload: withoutId(payload),
        expires_at: expiryOf(payload, expiresIn, clock()),
      }),
    )
  },
  find: async (id) => {
    const row = await findAuthorizationCode(db, { code_hash: sha256(id), issuer }, clock())
    if (!row) return undefined
    rememberRow(row, row.payload.sessionUid)
    return { ...row.payload, jti: id, ...(row.consumed_at && { consumed: secondsOf(row.consumed_at) }) }
  },
  // Done with the refresh token that is stored next, or at the end of the request: see consumption.ts.
  consume: async (id) => {
    const memory = requestMemory()
    memory.consuming = { kind: 'AuthorizationCode', hash: sha256(id), grant_id: memory.grant?.grant_id }
  },
  destroy: async () => {},
  revokeByGrantId: async () => {},
})
