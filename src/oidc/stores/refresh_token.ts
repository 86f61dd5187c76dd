import { sha256 } from '#/lib/crypto.ts'
import { findRefreshToken, storeRefreshToken } from '#/model/refresh_tokens.ts'
import { consumeFor } from '../consumption.ts'
import { rememberRow, requestMemory } from '../request_memory.ts'
import { expiryOf, type OpenStore, secondsOf, underGrant, withoutId } from './store.ts'

export const refreshTokenStore: OpenStore = (deps) => {
  const { db, clock, issuer } = deps
  return {
    upsert: async (id, payload, expiresIn) => {
      const now = clock()
      const token = {
        token_hash: sha256(id),
        grant_id: payload.grantId ?? '',
        session_uid: payload.expiresWithSession ? (payload.sessionUid ?? null) : null,
        payload: withoutId(payload),
        expires_at: expiryOf(payload, expiresIn, now),
      }
      const memory = requestMemory()
      if (memory.consuming) await consumeFor(deps, memory, token)
      else await underGrant(storeRefreshToken(db, token))
    },
    find: async (id) => {
      if (id.includes('.')) return undefined
      const row = await findRefreshToken(db, { token_hash: sha256(id), issuer }, clock())
      if (!row) return undefined
      rememberRow(row, row.payload.sessionUid)
      return { ...row.payload, jti: id, ...(row.consumed_at && { consumed: secondsOf(row.consumed_at) }) }
    },
    consume: async (id) => {
      const memory = requestMemory()
      memory.consuming = { kind: 'RefreshToken', hash: sha256(id), grant_id: memory.grant?.grant_id }
    },
    // Its grant goes with it, and that takes every token of the family along.
    destroy: async () => {},
    revokeByGrantId: async () => {},
  }
}
