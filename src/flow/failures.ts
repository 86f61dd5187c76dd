/** Wrong passwords counted, for `policy/lock_out` to judge. */
import { nameKey } from '#/identity/name_key.ts'
import { sha256 } from '#/lib/crypto.ts'
import type { Db } from '#/lib/sql.ts'
import { addFailedSignIn, findFailedSignIns } from '#/model/failed_sign_ins.ts'
import { lockOut, lockOutSince, secondsLockedOut } from '#/policy/lock_out.ts'

export interface Counted {
  username: string
  network: string
}

/** Seconds until this name may be tried again from this network; undefined when it may be now. */
export const findLockOut = async (db: Db, counted: Counted, now: Date): Promise<number | undefined> => {
  const name = keyOfName(counted.username)
  const network = keyOfNetwork(counted.network)
  const found = await findFailedSignIns(db, [name, network])
  const failedAt = (key: Buffer) => found.find((row) => row.key.equals(key))?.failed_at ?? []
  return secondsLockedOut({ ofName: failedAt(name), ofNetwork: failedAt(network) }, now)
}

export const addFailure = async (db: Db, { username, network }: Counted, now: Date): Promise<void> => {
  const since = lockOutSince(now)
  await Promise.all([
    addFailedSignIn(db, { key: keyOfName(username), keep: lockOut.perName, since }, now),
    addFailedSignIn(db, { key: keyOfNetwork(network), keep: lockOut.perNetwork, since }, now),
  ])
}

// As the directory compares names.
const keyOfName = (username: string) => sha256(`name:${nameKey(username.trim())}`)

/** An IPv6 customer has a whole /64, so that is what counts. */
const keyOfNetwork = (network: string) => sha256(`network:${network.includes(':') ? ipv6Network(network) : network}`)

const ipv6Network = (address: string) => {
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const groups = head.split(':').filter(Boolean)
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length
  const whole = [...groups, ...Array<string>(Math.max(0, missing)).fill('0'), ...(tail ?? '').split(':').filter(Boolean)]
  return whole
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')
}
