/**
 * Sessions that ended, kept as long as a cookie could still name one. Where they are too many the oldest are dropped, and then whoever signed in
 * before those ended signs in anew: what is not known any more refuses.
 */
import { clocksDifferMs } from './session.ts'

export interface Endings {
  add(ending: { issuer: string; sid: string; endedAt: number }): void
  has(issuer: string, sid: string, signedInAt: number): boolean
  list(): { issuer: string; sid: string; endedAt: number }[]
  /** Forgets those that ended before: no cookie names them any more. */
  forget(before: number): void
  /** When the last of those ended that were dropped; 0: none was. */
  forgottenUntil(): number
  forgetUntil(until: number): void
}

export const openEndings = ({ most = 500_000 } = {}): Endings => {
  // In the order of their coming, which is nearly that of their ending.
  const known = new Map<string, number>()
  let forgottenUntil = 0
  const keyOf = (issuer: string, sid: string) => `${sid} ${issuer}`
  const forgetUntil = (until: number): void => {
    forgottenUntil = Math.max(forgottenUntil, until)
  }
  return {
    add: ({ issuer, sid, endedAt }) => {
      const key = keyOf(issuer, sid)
      known.set(key, endedAt)
      if (known.size <= most) return
      for (const [oldest, at] of known) {
        known.delete(oldest)
        forgetUntil(at)
        break
      }
    },
    has: (issuer, sid, signedInAt) =>
      // A session begins before it ends. When it began the outpost's clock said, and core's when it ended.
      (forgottenUntil > 0 && signedInAt <= forgottenUntil + clocksDifferMs) || (known.size > 0 && known.has(keyOf(issuer, sid))),
    list: () =>
      [...known].map(([key, endedAt]) => {
        const at = key.indexOf(' ')
        return { sid: key.slice(0, at), issuer: key.slice(at + 1), endedAt }
      }),
    forget: (before) => {
      for (const [key, endedAt] of known) if (endedAt < before) known.delete(key)
    },
    forgottenUntil: () => forgottenUntil,
    forgetUntil,
  }
}
