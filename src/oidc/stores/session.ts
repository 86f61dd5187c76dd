import type { AdapterPayload } from 'oidc-provider'
import { Provider } from 'oidc-provider'
import { endSession, isGoodIn } from '#/identity/sessions.ts'
import { sha256 } from '#/lib/crypto.ts'
import { findSessionWithGrant, type GrantWithHolder, type Holder, type StoredPayload } from '#/model/grants.ts'
import { deleteSessionByTokenHash, findSessionByUid, storeSession, updateSession } from '#/model/sessions.ts'
import { callerOfContext } from '../caller.ts'
import { requestMemory } from '../request_memory.ts'
import { expiryOf, type OpenStore, secondsOf, withoutId } from './store.ts'

/** How old `last_used_at` and the end of a session may grow before a request that changes nothing else writes them. */
const touchAfterMs = 60_000

/** The one session of a browser (docs/decisions/0002-one-session.md), seen through the eyes of `oidc-provider`. */
export const sessionStore: OpenStore = ({ db, clock, issuer }) => ({
  find: async (id) => {
    const client_id = Provider.ctx?.query.client_id
    const row = await findSessionWithGrant(
      db,
      { token_hash: sha256(id), issuer, client_id: typeof client_id === 'string' && !client_id.includes('\0') ? client_id : null },
      clock(),
    )
    if (!row || !isGoodIn(row, callerOfContext().network)) return undefined
    const memory = requestMemory()
    memory.loaded = {
      uid: row.uid,
      written: comparable(row.payload),
      token: id,
      touchedAt: row.last_used_at.getTime(),
      factors: row.proven_factors,
    }
    memory.session = { uid: row.uid, payload: row.payload, expires_at: row.expires_at }
    // Joined rows come with all their columns or none.
    if (row.user_id !== null) memory.holder = row as Holder
    if (row.grant_id !== null) memory.grant = row as GrantWithHolder
    return { ...row.payload, kind: 'Session', uid: row.uid, jti: id, exp: secondsOf(row.expires_at) }
  },
  findByUid: async (uid) => {
    const { session } = requestMemory()
    if (session?.uid === uid) return payloadOf(session.payload, uid, session.expires_at)
    const row = await findSessionByUid(db, uid, clock())
    return row && row.issuer === issuer ? payloadOf(row.payload, uid, row.expires_at) : undefined
  },
  upsert: async (id, payload, expiresIn) => {
    const now = clock()
    const memory = requestMemory()
    const { loaded } = memory
    const kept = withoutNul(withoutId(payload))
    const uid = payload.uid ?? ''
    if (loaded?.uid === uid) {
      const written = comparable(kept)
      if (written === loaded.written && id === loaded.token && now.getTime() - loaded.touchedAt < touchAfterMs) return
      await updateSession(
        db,
        {
          uid,
          token_hash: sha256(id),
          user_id: payload.accountId ?? null,
          payload: kept,
          expires_at: expiryOf(payload, expiresIn, now),
          replace: Provider.ctx?.oidc.route === 'end_session_confirm',
        },
        now,
      )
      memory.loaded = { ...loaded, written, token: id, touchedAt: now.getTime() }
      return
    }
    const { network, userAgent } = callerOfContext()
    await storeSession(
      db,
      {
        uid,
        token_hash: sha256(id),
        user_id: payload.accountId ?? null,
        issuer,
        payload: kept,
        user_agent: userAgent?.slice(0, 400) ?? null,
        network: network ?? null,
        expires_at: expiryOf(payload, expiresIn, now),
      },
      now,
    )
    memory.loaded = { uid, written: comparable(kept), token: id, touchedAt: now.getTime(), factors: [] }
  },
  destroy: async (id) => {
    const { loaded, holder } = requestMemory()
    if (loaded?.token !== id || !holder) return void (await deleteSessionByTokenHash(db, sha256(id)))
    const { network, requestId } = callerOfContext()
    await endSession(db, loaded.uid, { actor: holder.username, network, requestId }, clock())
  },
})

/** What stands in the row is what the library wrote, or src/identity/sessions.ts in its words. */
const payloadOf = (payload: object, uid: string, expires_at: Date): AdapterPayload => ({
  ...payload,
  kind: 'Session',
  uid,
  exp: secondsOf(expires_at),
})

const comparable = ({ iat: _iat, exp: _exp, ...payload }: AdapterPayload | Record<string, unknown>): string => {
  const { uid: _uid, kind: _kind, jti: _jti, ...rest } = payload as AdapterPayload
  return JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The `state` of a sign-out that waits for its confirmation is the one text of a request in here, and PostgreSQL keeps no NUL. */
const withoutNul = (payload: StoredPayload): StoredPayload => {
  const { state } = payload as { state?: { state?: unknown } }
  return typeof state?.state === 'string' && state.state.includes('\0')
    ? { ...payload, state: { ...state, state: state.state.replaceAll('\0', '') } }
    : payload
}
