import type { AccountSessions } from '#/flow/portal_pages.ts'
import { forgetDevice, listDevices } from '#/identity/remembered_devices.ts'
import { endSession, endSessionsOf, findShownSession, listSessions } from '#/identity/sessions.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { changeOf, type Person } from './person.ts'

const pageSize = 20

/** The one that the person looks from stands first, and on the first page alone. */
export const listShownSessions = async (
  { db }: { db: Db },
  { session, authServer }: Person,
  cursor: string | undefined,
  now: Date,
): Promise<Pick<AccountSessions, 'sessions' | 'devices' | 'isFirst' | 'next'>> => {
  const isFirst = cursor === undefined
  const devices = isFirst ? await listDevices(db, session.user.id, now) : []
  const { items, next } = await listSessions(db, session.user.id, { cursor, limit: pageSize }, now)
  const own = isFirst ? await findShownSession(db, session.uid, now) : undefined
  const others = items.filter(({ id }) => id !== session.uid)
  const sessions = [...(own ? [own] : []), ...others].map(({ id, issuer, device, network, createdAt, lastUsedAt, expiresAt }) => ({
    uid: id,
    createdAt,
    lastUsedAt,
    expiresAt,
    isCurrent: id === session.uid,
    ...(device ? { device } : {}),
    ...(network ? { network } : {}),
    ...(issuer && issuer !== authServer.issuerUrl ? { elsewhere: issuer.replace(/^https?:\/\//, '') } : {}),
  }))
  return {
    sessions,
    isFirst,
    devices: devices.map(({ id, device, createdAt, expiresAt }) => ({ id, createdAt, expiresAt, ...(device ? { device } : {}) })),
    ...(next ? { next } : {}),
  }
}

/** `session` names one of the person's own; `others` ends all but this one, and forgets every device; `device` is one to forget. */
export const endSessions = async (
  { db }: { db: Db },
  person: Person,
  { session, device, others }: Readonly<Record<string, string>>,
  now: Date,
): Promise<'session_ended' | 'sessions_ended' | 'device_forgotten'> => {
  const { user, uid } = person.session
  if (others !== undefined) {
    await endSessionsOf(db, user.id, changeOf(person), now, uid)
    return 'sessions_ended'
  }
  if (device !== undefined) {
    // One that is forgotten already is what the person wanted.
    await forgetDevice(db, { user_id: user.id, username: user.username, id: device }, changeOf(person), now)
    return 'device_forgotten'
  }
  if (!session) throw new Problem('bad_request', { detail: 'no session is named' })
  // One that has ended meanwhile is what the person wanted.
  await endSession(db, session, changeOf(person), now, user.id)
  return 'session_ended'
}
