/**
 * Bounds on clients that register themselves. Where no token is asked for, anyone may: so a network registers a few in a while, an issuer has
 * so many in all, and those that nobody uses go (`purge_expired`). Fixed, since whoever needs more wants clients that people know of.
 */
import { addFailure, findLockOut, registrationCounters } from '#/flow/failures.ts'
import type { Db } from '#/lib/sql.ts'
import { countRegisteredClients } from '#/model/registered_clients.ts'

export const mostRegistered = 10_000

export interface Refused {
  status: 429 | 503
  /** Seconds. */
  retryAfter: number
  detail: string
}

/** Undefined: it may register one. Each try of whoever comes without a token counts. */
export const findRegistrationRefusal = async (
  db: Db,
  { issuer, network, isOpen }: { issuer: string; network: string; isOpen: boolean },
  now: Date,
): Promise<Refused | undefined> => {
  if (isOpen) {
    const counters = registrationCounters(network)
    const retryAfter = await findLockOut(db, counters, now)
    if (retryAfter !== undefined) return { status: 429, retryAfter, detail: 'too many clients were registered from this network' }
    await addFailure(db, counters, now)
  }
  if ((await countRegisteredClients(db, issuer, mostRegistered)) < mostRegistered) return undefined
  return { status: 503, retryAfter: 3_600, detail: 'no more clients can be registered here' }
}
