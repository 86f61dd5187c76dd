import { errors } from 'oidc-provider'
import { sha256 } from '#/lib/crypto.ts'
import { consumePushedRequest, findPushedRequest, storePushedRequest } from '#/model/pushed_authorization_requests.ts'
import { expiryOf, type OpenStore, secondsOf, underGrant, withoutId } from './store.ts'

export const pushedAuthorizationRequestStore: OpenStore = ({ db, clock, issuer }) => ({
  upsert: async (id, payload, expiresIn) => {
    await underGrant(
      storePushedRequest(db, {
        request_hash: sha256(id),
        issuer,
        payload: withoutId(payload),
        expires_at: expiryOf(payload, expiresIn, clock()),
      }),
    )
  },
  find: async (id) => {
    const row = await findPushedRequest(db, { request_hash: sha256(id), issuer })
    return row && { ...row.payload, jti: id, ...(row.consumed_at && { consumed: secondsOf(row.consumed_at) }) }
  },
  consume: async (id) => {
    if (!(await consumePushedRequest(db, sha256(id), clock())))
      throw new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
  },
  destroy: async () => {},
})
