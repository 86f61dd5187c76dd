import { sha256 } from '#/lib/crypto.ts'
import { type AccessTokenToStore, deleteAccessToken, findAccessToken, storeAccessToken } from '#/model/access_tokens.ts'
import type { GrantWithHolder, OwnSession } from '#/model/grants.ts'
import { storeRevokedToken } from '#/model/revoked_tokens.ts'
import { findJwt } from '../jwt_access_token.ts'
import { rememberRow, requestMemory } from '../request_memory.ts'
import { dateOf, expiryOf, type OpenStore, underGrant, withoutId } from './store.ts'

/** Access tokens of both kinds: what is stored is opaque; a JWT is read, verified and asked after. */
const openAccessTokenStore =
  (kind: AccessTokenToStore['kind']): OpenStore =>
  (deps) => {
    const { db, clock, issuer } = deps
    return {
      upsert: async (id, payload, expiresIn) => {
        await underGrant(
          storeAccessToken(db, {
            token_hash: sha256(id),
            kind,
            issuer,
            grant_id: payload.grantId ?? null,
            session_uid: payload.expiresWithSession ? (payload.sessionUid ?? null) : null,
            payload: withoutId(payload),
            expires_at: expiryOf(payload, expiresIn, clock()),
          }),
        )
      },
      find: async (id) => {
        if (id.includes('.')) {
          const payload = await findJwt(deps, id)
          return payload?.kind === kind ? payload : undefined
        }
        const row = await findAccessToken(db, { token_hash: sha256(id), kind, issuer }, clock())
        if (!row) return undefined
        // The statement answers a grant with all its columns or none.
        if (row.grant_id !== null) rememberRow(row as GrantWithHolder & OwnSession, row.payload.sessionUid)
        return { ...row.payload, jti: id }
      },
      destroy: async (id) => {
        const { jwtExpiry } = requestMemory()
        if (jwtExpiry?.jti === id) await storeRevokedToken(db, { jti_hash: sha256(id), expires_at: dateOf(jwtExpiry.exp) })
        else await deleteAccessToken(db, sha256(id))
      },
      // Deleting the grant takes them along; revoking one access token leaves the others alone.
      revokeByGrantId: async () => {},
    }
  }

export const accessTokenStore = openAccessTokenStore('AccessToken')
export const clientCredentialsStore = openAccessTokenStore('ClientCredentials')
