import type { ClientMetadata } from 'oidc-provider'
import { deleteRegisteredClient, storeRegisteredClient } from '#/model/registered_clients.ts'
import type { OpenStore } from './store.ts'

/** Clients that registered themselves. Finding them is clients.ts's, which finds those of the configuration too. */
export const clientStore: OpenStore = ({ db, clock, issuer, vault }) => ({
  upsert: async (client_id, payload) => {
    // What comes here is the client's metadata as a whole.
    const { client_secret, client_id: _id, ...metadata } = payload as ClientMetadata
    await storeRegisteredClient(
      db,
      { client_id, issuer, metadata, sealed_secret: client_secret === undefined ? null : vault.seal(client_secret, client_id) },
      clock(),
    )
  },
  destroy: async (client_id) => {
    await deleteRegisteredClient(db, { client_id, issuer })
  },
})
