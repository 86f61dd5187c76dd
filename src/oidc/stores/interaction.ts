import { sha256 } from '#/lib/crypto.ts'
import { deleteInteraction, findInteraction, storeInteraction } from '#/model/oidc_interactions.ts'
import { expiryOf, type OpenStore } from './store.ts'

export const interactionStore: OpenStore = ({ db, clock, issuer, vault }) => ({
  upsert: async (id, payload, expiresIn) => {
    const { session, ...rest } = payload
    // Not the session's cookie: its uid is enough.
    const kept = session ? { ...rest, session: { ...session, cookie: undefined } } : rest
    await storeInteraction(db, {
      interaction_hash: sha256(id),
      sealed_payload: vault.seal(JSON.stringify(kept), `interaction ${issuer}`),
      expires_at: expiryOf(payload, expiresIn, clock()),
    })
  },
  find: async (id) => {
    const row = await findInteraction(db, sha256(id), clock())
    if (!row) return undefined
    return { ...JSON.parse(vault.open(row.sealed_payload, `interaction ${issuer}`).toString()), jti: id }
  },
  destroy: async (id) => {
    await deleteInteraction(db, sha256(id))
  },
})
