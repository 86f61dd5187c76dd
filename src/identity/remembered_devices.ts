/**
 * Devices on which a person has proven a second factor: a sign-in there by password spares the question for it. The browser holds a random token of
 * which only the SHA-256 is stored. It is made anew whenever a device is remembered, and none that a browser came with is ever taken over, so that
 * nobody puts one of theirs into the browser of another. It proves nothing by itself, and takes nobody's password's place.
 */
import { randomToken, sha256 } from '#/lib/crypto.ts'
import type { Db } from '#/lib/sql.ts'
import { isUuid, uuidv7 } from '#/lib/uuid.ts'
import type { FactorType } from '#/model/authenticators.ts'
import {
  deleteRememberedDevice,
  deleteRememberedDevicesOfUser,
  insertRememberedDevice,
  listRememberedDevices,
  trimRememberedDevices,
  useRememberedDevice,
} from '#/model/remembered_devices.ts'
import { type Change, recordChange } from './change.ts'
import { describeUserAgent } from './user_agent.ts'

/** Of more than these the oldest are forgotten. */
const mostDevices = 10
const userAgentLength = 400

export interface NewDevice {
  user_id: string
  username: string
  issuer: string
  /** What was proven on it. */
  factor: FactorType
  userAgent: string | undefined
  /** Seconds. */
  ttl: number
}

/** `token` is for the cookie, and shown here once. */
export const rememberDevice = (
  db: Db,
  { user_id, username, issuer, factor, userAgent, ttl }: NewDevice,
  change: Change,
  now: Date,
): Promise<{ token: string; expiresAt: Date }> =>
  db.transaction(async (tx) => {
    const token = randomToken()
    const device_id = uuidv7(now)
    const expiresAt = new Date(now.getTime() + ttl * 1_000)
    const user_agent = userAgent?.slice(0, userAgentLength) ?? null
    await insertRememberedDevice(
      tx,
      { device_id, token_hash: sha256(token), user_id, issuer, factor, user_agent, expires_at: expiresAt },
      now,
    )
    await trimRememberedDevices(tx, user_id, mostDevices)
    const data = { device: device_id, factor, expiresAt }
    await recordChange(tx, change, { action: 'device.remembered', target: { kind: 'User', name: username }, data }, now)
    return { token, expiresAt }
  })

/** Whether this is the token of a device on which this person has proven one of these factors in the last `ttl` seconds. */
export const isRemembered = async (
  db: Db,
  { token, user_id, issuer, factors, ttl }: { token: string; user_id: string; issuer: string; factors: readonly FactorType[]; ttl: number },
  now: Date,
): Promise<boolean> =>
  (await useRememberedDevice(
    db,
    { token_hash: sha256(token), user_id, issuer, factors, since: new Date(now.getTime() - ttl * 1_000) },
    now,
  )) === 1

/** As a person sees it in a list. */
export interface ShownDevice {
  id: string
  /** `Firefox, Linux` */
  device: string | null
  createdAt: Date
  lastUsedAt: Date | null
  expiresAt: Date
}

export const listDevices = async (db: Db, user_id: string, now: Date): Promise<ShownDevice[]> =>
  (await listRememberedDevices(db, user_id, now)).map(({ device_id, user_agent, created_at, last_used_at, expires_at }) => ({
    id: device_id,
    device: describeUserAgent(user_agent),
    createdAt: created_at,
    lastUsedAt: last_used_at,
    expiresAt: expires_at,
  }))

/** With its event; false when this person has none of that id. */
export const forgetDevice = (
  db: Db,
  { user_id, username, id }: { user_id: string; username: string; id: string },
  change: Change,
  now: Date,
): Promise<boolean> =>
  db.transaction(async (tx) => {
    if (!isUuid(id) || !(await deleteRememberedDevice(tx, { user_id, device_id: id }))) return false
    await recordChange(tx, change, { action: 'device.forgotten', target: { kind: 'User', name: username }, data: { device: id } }, now)
    return true
  })

/** All of a person's, with an event where there were any. */
export const forgetAllDevices = (
  db: Db,
  { user_id, username }: { user_id: string; username: string },
  change: Change,
  now: Date,
): Promise<void> =>
  db.transaction(async (tx) => {
    const count = await deleteRememberedDevicesOfUser(tx, user_id)
    if (count === 0) return
    await recordChange(tx, change, { action: 'device.forgotten', target: { kind: 'User', name: username }, data: { count } }, now)
  })

/** For whatever makes a proof from before worth nothing. Its event is that of the reason. Answers how many there were. */
export const forgetDevicesOf = (db: Db, user_id: string): Promise<number> => deleteRememberedDevicesOfUser(db, user_id)
