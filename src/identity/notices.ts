/**
 * What people are told by mail of their own accounts, queued in the transaction of the change and by the one function that makes it. Only confirmed
 * addresses are told: any other one may be a stranger's. Who changes the account of another is not shown from where.
 */
import { sha256 } from '#/lib/crypto.ts'
import { isMailAddress } from '#/lib/mail_address.ts'
import { keyOfNetwork } from '#/lib/network_key.ts'
import type { Db } from '#/lib/sql.ts'
import type { FactorType } from '#/model/authenticators.ts'
import { seeDevice, trimKnownDevices } from '#/model/known_devices.ts'
import { findUserRow, type UserRow } from '#/model/users.ts'
import type { Change } from './change.ts'
import { canSend, queueMail } from './mail.ts'
import { describeUserAgent } from './user_agent.ts'

export type Notice =
  | { template: 'password_changed' | 'email_changed' | 'new_device' }
  | { template: 'factor_changed'; factor: FactorType; change: 'added' | 'removed' }

/** Where they look at it. */
const paths: Record<Notice['template'], string> = {
  password_changed: '/account',
  email_changed: '/account',
  factor_changed: '/account/factors',
  new_device: '/account/sessions',
}

type Addressee = Pick<UserRow, 'username' | 'name' | 'email' | 'email_verified' | 'locale'>

/** Tells a person, when mails can be sent and the change says by whom. Reads nothing otherwise. */
export const notifyUser = async (db: Db, user_id: string, notice: Notice, change: Change, now: Date): Promise<void> => {
  if (!change.notices || !canSend(change.notices.settings)) return
  const user = await findUserRow(db, user_id)
  if (user) await notify(db, user, notice, change, now)
}

/** The same of someone who is at hand, at the address that is given. */
export const notify = async (
  db: Db,
  { username, name, email, email_verified, locale }: Addressee,
  { template, ...more }: Notice,
  { actor, network, notices }: Change,
  now: Date,
): Promise<void> => {
  if (!notices || !canSend(notices.settings) || email === null || !isMailAddress(email)) return
  const isOwn = actor === username
  // Someone mistyped their address and corrects it: whoever reads there learns that, and nothing of the person.
  const isCorrected = template === 'email_changed' && isOwn
  if (!email_verified && !isCorrected) return
  const { issuerUrl, product, userAgent, settings, rootSecret } = notices
  const seen = isOwn && email_verified ? { device: describeUserAgent(userAgent ?? null), place: network ?? null } : {}
  const user = email_verified ? { username, name, email } : { username: null, name: null, email }
  const variables = { time: now, url: `${issuerUrl}${paths[template]}`, ...seen }
  await queueMail(
    db,
    // Told apart by the type of the notice, which the compiler does not follow through the parts.
    { to: email, template: template as 'password_changed', locale, user, product, variables: { ...variables, ...more } },
    { settings, rootSecret, now },
  )
}

/** Of more than these those that were not used for longest are as if they had never been seen. */
const mostDevices = 30
const noteEveryMs = 24 * 3_600_000

/** Notes from where someone signs in, and tells them when they never did from there, unless it is the first time that they do at all. */
export const noticeDevice = async (db: Db, user_id: string, change: Change, now: Date): Promise<void> => {
  const { notices, network = '' } = change
  if (!notices || !canSend(notices.settings)) return
  // In words, so that a new version of the browser is no new one.
  const device_hash = sha256(`${describeUserAgent(notices.userAgent ?? null)}\n${keyOfNetwork(network)}`)
  const seen = await seeDevice(db, { user_id, device_hash, before: new Date(now.getTime() - noteEveryMs) }, now)
  if (!seen?.is_new) return
  await trimKnownDevices(db, user_id, mostDevices)
  if (seen.has_others) await notify(db, { ...seen, email_verified: true }, { template: 'new_device' }, change, now)
}
