import { sha256 } from '#/lib/crypto.ts'
import {
  deleteRegistrationAccessToken,
  findRegistrationAccessToken,
  storeRegistrationAccessToken,
} from '#/model/registration_access_tokens.ts'
import { type OpenStore, withoutId } from './store.ts'

export const registrationAccessTokenStore: OpenStore = ({ db, issuer }) => ({
  upsert: async (id, payload) => {
    await storeRegistrationAccessToken(db, { token_hash: sha256(id), client_id: payload.clientId ?? '', payload: withoutId(payload) })
  },
  find: async (id) => {
    const row = await findRegistrationAccessToken(db, { token_hash: sha256(id), issuer })
    return row && { ...row.payload, jti: id }
  },
  destroy: async (id) => {
    await deleteRegistrationAccessToken(db, sha256(id))
  },
})
