/**
 * One session for everything: portal, OpenID, later SAML and outposts. It is a row of `sessions`; the browser holds a random token of
 * which only the SHA-256 is stored. Its payload is what `oidc-provider` keeps of a session, so that the provider and we read the same row.
 */
import { randomToken, sha256 } from '#/lib/crypto.ts'
import { keyOfNetwork } from '#/lib/network_key.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import type { FactorType } from '#/model/authenticators.ts'
import {
  deleteSession,
  deleteSessionsOfUser,
  findSessionByTokenHash,
  findSessionByUid,
  listSessionsOfUser,
  type SessionPayload,
  type SessionRow,
  storeSession,
  touchSession,
} from '#/model/sessions.ts'
import { findUserRow } from '#/model/users.ts'
import { type Change, recordChange } from './change.ts'
import { type Page, type PageRequest, pageLimit, pageOf, parseCursor } from './page.ts'
import { forgetDevicesOf } from './remembered_devices.ts'
import { sessionSeconds } from './session_cookie.ts'
import { renderUser, type User } from './user.ts'
import { describeUserAgent } from './user_agent.ts'

const touchEveryMs = 60_000
const userAgentLength = 400
const networkLength = 64

export interface SessionToCreate {
  user_id: string
  /** Who it is, for the event. */
  username: string
  /** Methods of sign-in (RFC 8176), `pwd`. */
  amr: string[]
  /** `1fa`, `2fa`, `phr`. */
  acr: string
  /** Types of second factors that were proven. */
  factors?: readonly FactorType[] | undefined
  /** A second factor was not asked for, since the device is remembered. */
  factorSpared?: boolean | undefined
  issuer: string
  userAgent?: string | undefined
  network?: string | undefined
  requestId?: string | undefined
  /** Seconds. */
  ttl?: number | undefined
  /** Uid of the same person's live session in that browser: it goes on under the new token, with what hangs on it. */
  renews?: string | undefined
  /** Seconds since 1970 when a factor was last proven. Absent: now. */
  auth_time?: number | undefined
  /** Good in `network` only. */
  isBound?: boolean | undefined
  /** Of the password that was proven (`checkPassword`). */
  passwordVersion?: number | undefined
}

/** A session that was just proven; `token` is shown here once, for the cookie. */
export interface NewSession {
  token: string
  uid: string
  expiresAt: Date
}

/** Begins a session, with its event. Throws Problem `conflict` when the password that was proven is another one by now. Someone who signs in again has their old one renewed; another person's is to be ended: `endSession`. */
export const createSession = (
  db: Db,
  {
    user_id,
    username,
    amr,
    acr,
    factors = [],
    factorSpared = false,
    issuer,
    userAgent,
    network,
    requestId,
    ttl = sessionSeconds,
    renews,
    auth_time,
    isBound = false,
    passwordVersion,
  }: SessionToCreate,
  now: Date,
): Promise<NewSession> =>
  db.transaction(async (tx) => {
    const token = randomToken()
    const found = renews === undefined ? undefined : await findSessionByUid(tx, renews, now)
    const renewed = found?.user_id === user_id ? found : undefined
    const uid = renewed?.uid ?? randomToken(16)
    const iat = seconds(now)
    const loginTs = auth_time ?? iat
    // Nothing was proven since: it lasts no longer than it would have.
    const isNoNewer = renewed?.payload.loginTs !== undefined && loginTs < iat && loginTs <= renewed.payload.loginTs
    const expiresAt = isNoNewer ? renewed.expires_at : new Date((iat + ttl) * 1_000)
    const payload: SessionPayload = {
      kind: 'Session',
      uid,
      accountId: user_id,
      loginTs,
      acr,
      amr,
      authorizations: renewed?.payload.authorizations ?? {},
      iat,
      exp: seconds(expiresAt),
    }
    const isStored = await storeSession(
      tx,
      {
        uid,
        token_hash: sha256(token),
        user_id,
        issuer,
        payload,
        user_agent: userAgent?.slice(0, userAgentLength) ?? null,
        network: network?.slice(0, networkLength) ?? null,
        proven_factors: [...factors],
        factor_spared: factorSpared,
        bound_network: isBound ? keyOfNetwork(network ?? '') : null,
        ...(passwordVersion === undefined ? {} : { password_version: passwordVersion }),
        expires_at: expiresAt,
      },
      now,
    )
    if (!isStored) throw new Problem('conflict', { detail: 'the password was changed meanwhile' })
    const change = { actor: username, network, requestId }
    await recordChange(
      tx,
      change,
      {
        action: 'session.started',
        target: { kind: 'User', name: username },
        data: { sessions: [uid], amr, acr, ...(factorSpared ? { factorSpared } : {}) },
      },
      now,
    )
    return { token, uid, expiresAt }
  })

export interface SessionOfPerson {
  uid: string
  user: User
  acr: string
  amr: string[]
  /** Types of second factors that were proven. */
  factors: FactorType[]
  /** A second factor was not asked for, since the device is remembered. */
  factorSpared: boolean
  /** Seconds since 1970 when a factor was last proven. */
  auth_time: number
  issuer: string | null
  expiresAt: Date
}

/**
 * Who holds this token. Undefined when it is unknown or expired, nobody is signed in with it, or the user is not active; also when it is bound to another
 * network than the one the browser is in. Notes the use once a minute.
 */
export const findSession = async (db: Db, token: string, now: Date, network?: string): Promise<SessionOfPerson | undefined> => {
  if (!isToken(token)) return undefined
  const row = await findSessionByTokenHash(db, sha256(token), now)
  return row && isGoodIn(row, network) ? await personOf(db, row, now) : undefined
}

/** Whether a session may be used from a network. */
export const isGoodIn = ({ bound_network }: Pick<SessionRow, 'bound_network'>, network = ''): boolean =>
  bound_network === null || bound_network === keyOfNetwork(network)

const personOf = async (db: Db, row: SessionRow, now: Date): Promise<SessionOfPerson | undefined> => {
  if (!row.user_id) return undefined
  const touchBefore = new Date(now.getTime() - touchEveryMs)
  if (row.last_used_at < touchBefore) await touchSession(db, row.uid, now, touchBefore)
  const user = await findUserRow(db, row.user_id)
  if (!user?.active) return undefined
  const { acr = '1fa', amr = [], loginTs } = row.payload
  return {
    uid: row.uid,
    user: renderUser(user),
    acr,
    amr,
    // Written here alone.
    factors: row.proven_factors as FactorType[],
    factorSpared: row.factor_spared,
    auth_time: loginTs ?? seconds(row.created_at),
    issuer: row.issuer,
    expiresAt: row.expires_at,
  }
}

/** What is changed within this time of a sign-in needs no other one. */
const freshMs = 15 * 60_000

/**
 * Whether a person may change how they sign in: a session that someone left open is not enough, nor one that came about without the second factor they
 * have. `allowanceMs`: for what was begun in time.
 */
export const isFresh = (
  { auth_time, factorSpared }: Pick<SessionOfPerson, 'auth_time' | 'factorSpared'>,
  now: Date,
  allowanceMs = 0,
): boolean => !factorSpared && now.getTime() - auth_time * 1_000 <= freshMs + allowanceMs

/** A session as a person sees it in a list. */
export interface ShownSession {
  id: string
  issuer: string | null
  userAgent: string | null
  /** What the user agent says it is, in words: `Firefox, Linux`. */
  device: string | null
  network: string | null
  acr: string | null
  amr: string[]
  createdAt: Date
  lastUsedAt: Date
  expiresAt: Date
}

/** Live sessions of a user, newest first. */
export const listSessions = async (db: Db, user_id: string, { cursor, limit }: PageRequest, now: Date): Promise<Page<ShownSession>> => {
  const size = pageLimit(limit)
  const [at, uid] = parseCursor(cursor, ['time', 'text']) ?? []
  const after = at === undefined || uid === undefined ? undefined : { created_at: new Date(at), uid }
  const rows = await listSessionsOfUser(db, { user_id, after, limit: size + 1 }, now)
  return pageOf(rows, size, (row) => [row.created_at.toISOString(), row.uid], renderSession)
}

/** One of them; undefined when it is over. */
export const findShownSession = async (db: Db, uid: string, now: Date): Promise<ShownSession | undefined> => {
  const row = await findSessionByUid(db, uid, now)
  return row && renderSession(row)
}

const renderSession = (row: SessionRow): ShownSession => ({
  id: row.uid,
  issuer: row.issuer,
  userAgent: row.user_agent,
  device: describeUserAgent(row.user_agent),
  network: row.network,
  acr: row.payload.acr ?? null,
  amr: row.payload.amr ?? [],
  createdAt: row.created_at,
  lastUsedAt: row.last_used_at,
  expiresAt: row.expires_at,
})

/** Ends one session, with its event; false when there was none. `user_id` given: only if it is that user's. */
export const endSession = (db: Db, uid: string, change: Change, now: Date, user_id?: string): Promise<boolean> =>
  db.transaction(async (tx) => {
    const found = await findSessionByUid(tx, uid, now)
    if (!found || (user_id !== undefined && found.user_id !== user_id)) return false
    const ended = await deleteSession(tx, uid)
    if (ended) await recordEnd(tx, ended.user_id, [ended.uid], change, now)
    return ended !== undefined
  })

/** Ends every session of a user, but for `except`, and forgets all of their devices; answers the uids that ended. */
export const endSessionsOf = (db: Db, user_id: string, change: Change, now: Date, except?: string): Promise<string[]> =>
  db.transaction(async (tx) => {
    await forgetDevicesOf(tx, user_id)
    const ended = (await deleteSessionsOfUser(tx, user_id, except ?? null)).map(({ uid }) => uid)
    if (ended.length) await recordEnd(tx, user_id, ended, change, now)
    return ended
  })

const recorded = 100

const recordEnd = async (db: Db, user_id: string | null, uids: string[], change: Change, now: Date) => {
  const user = user_id ? await findUserRow(db, user_id) : undefined
  // A session nobody signed in with is the browser's own affair.
  if (!user) return
  const data = { sessions: uids.slice(0, recorded), count: uids.length }
  await recordChange(db, change, { action: 'session.ended', target: { kind: 'User', name: user.username }, data }, now)
}

const isToken = (text: string): boolean => text.length > 0 && text.length <= 100

const seconds = (time: Date): number => Math.floor(time.getTime() / 1_000)
