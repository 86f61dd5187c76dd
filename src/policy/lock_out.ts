/**
 * How many wrong passwords are too many: pure. Counted for the name as it was typed, whether anyone has it or not, so that the answer
 * tells nobody which names exist; and for the network, against one who tries one password on many names.
 */

export const lockOut = { windowMs: 15 * 60_000, perName: 10, perNetwork: 50 } as const

/** Since when failures count. */
export const lockOutSince = (now: Date): Date => new Date(now.getTime() - lockOut.windowMs)

/** Seconds until it may be tried again; undefined when it may be now. */
export const secondsLockedOut = (failures: { ofName: readonly Date[]; ofNetwork: readonly Date[] }, now: Date): number | undefined => {
  const seconds = Math.max(wait(failures.ofName, lockOut.perName, now), wait(failures.ofNetwork, lockOut.perNetwork, now))
  return seconds > 0 ? seconds : undefined
}

/** Until so many of the failures have left the window that fewer than `limit` remain. */
const wait = (failedAt: readonly Date[], limit: number, now: Date): number => {
  const since = lockOutSince(now).getTime()
  const recent = failedAt
    .map((at) => at.getTime())
    .filter((at) => at > since)
    .sort((a, b) => b - a)
  const decisive = recent[limit - 1]
  return decisive === undefined ? 0 : Math.max(1, Math.ceil((decisive - since) / 1_000))
}
