/**
 * How many wrong answers are too many: pure. Passwords are counted for the name as it was typed, whether anyone has it or not, so that the answer
 * tells nobody which names exist; and for the network, against one who tries one password on many names. Codes of second factors are counted
 * for the account and for the network. Those of devices for the network only: whose they would be nobody knows (RFC 8628 section 5.1). So are
 * clients that register themselves, and mails that someone has us send before they are known, the good ones as well.
 */

export const lockOut = {
  windowMs: 15 * 60_000,
  perName: 10,
  perNetwork: 50,
  userCodesPerNetwork: 50,
  registrationsPerNetwork: 100,
  codesPerAccount: 10,
  codesPerNetwork: 50,
  mailsPerAddress: 5,
  mailsPerNetwork: 50,
} as const

/** Since when failures count. */
export const lockOutSince = (now: Date): Date => new Date(now.getTime() - lockOut.windowMs)

/** What is counted together: when it failed, and how many are too many. */
export interface Count {
  failedAt: readonly Date[]
  limit: number
}

/** Seconds until it may be tried again; undefined when it may be now. */
export const secondsLockedOut = (counts: readonly Count[], now: Date): number | undefined => {
  const seconds = Math.max(0, ...counts.map((count) => wait(count, now)))
  return seconds > 0 ? seconds : undefined
}

/** Until so many of the failures have left the window that fewer than `limit` remain. */
const wait = ({ failedAt, limit }: Count, now: Date): number => {
  const since = lockOutSince(now).getTime()
  const recent = failedAt
    .map((at) => at.getTime())
    .filter((at) => at > since)
    .sort((a, b) => b - a)
  const decisive = recent[limit - 1]
  return decisive === undefined ? 0 : Math.max(1, Math.ceil((decisive - since) / 1_000))
}
