import type { AdapterPayload } from 'oidc-provider'
import { sha256 } from '#/lib/crypto.ts'
import {
  deleteDeviceCode,
  type FoundDeviceCode,
  findDeviceCode,
  findDeviceCodeByUserCode,
  storeDeviceCode,
  updateDeviceCode,
} from '#/model/device_codes.ts'
import { requestMemory } from '../request_memory.ts'
import { expiryOf, type OpenStore, secondsOf, underGrant, withoutId } from './store.ts'

export const deviceCodeStore: OpenStore = ({ db, clock, issuer, vault }) => {
  const payloadOf = (row: FoundDeviceCode, jti: string, userCode?: string): AdapterPayload => ({
    ...row.payload,
    jti,
    ...(userCode !== undefined && { userCode }),
    ...(row.consumed_at && { consumed: secondsOf(row.consumed_at) }),
  })
  return {
    upsert: async (id, payload, expiresIn) => {
      const { userCode, consumed: _consumed, ...rest } = payload
      const code = {
        code_hash: sha256(id),
        user_code_hash: userCode === undefined ? undefined : sha256(userCode),
        sealed_code: vault.seal(id, 'device_code'),
        issuer,
        grant_id: payload.grantId ?? null,
        session_uid: payload.sessionUid ?? null,
        payload: withoutId(rest),
        expires_at: expiryOf(payload, expiresIn, clock()),
      }
      if (await underGrant(updateDeviceCode(db, code))) return
      if (userCode !== undefined && payload.accountId === undefined && payload.error === undefined && !payload.inFlight)
        await underGrant(storeDeviceCode(db, { ...code, user_code_hash: sha256(userCode) }))
    },
    find: async (id) => {
      const row = await findDeviceCode(db, { code_hash: sha256(id), issuer })
      return row && payloadOf(row, id)
    },
    findByUserCode: async (userCode) => {
      const row = await findDeviceCodeByUserCode(db, { user_code_hash: sha256(userCode), issuer })
      return row && payloadOf(row, vault.open(row.sealed_code, 'device_code').toString(), userCode)
    },
    consume: async (id) => {
      const row = await findDeviceCode(db, { code_hash: sha256(id), issuer })
      requestMemory().consuming = {
        kind: 'DeviceCode',
        hash: sha256(id),
        grant_id: typeof row?.payload.grantId === 'string' ? row.payload.grantId : undefined,
      }
    },
    destroy: async (id) => {
      await deleteDeviceCode(db, sha256(id))
    },
    revokeByGrantId: async () => {},
  }
}
