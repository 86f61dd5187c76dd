/**
 * How long a failed sign-in takes, whoever it was for. A hash of another system takes longer than ours, and a name that nobody has would
 * take less, which tells that the others exist. So each failure takes as long as one of the dearest form of hash that is in use. It waits
 * for that rather than compute: computing would be a gift to whoever floods us.
 *
 * Spending the dearest scheme's own work on every failure was refused for that reason, and a fixed time since it is too short for one
 * installation and too long for all others.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Above what a hash takes usually: it is not always as quick. */
const margin = 1.25
/** The costs that are taken (src/identity/schemes/) stay below. */
const longestMs = 5_000
const mostForms = 64

export interface FailureTime {
  /** What verifying a hash of this form took. */
  took(form: string, ms: number): void
  isKnown(form: string): boolean
  /** Answers when a failure that began then, in milliseconds of `performance.now()`, may be told; `oursMs` is what our own scheme takes. */
  settle(began: number, oursMs: number): Promise<void>
}

export const openFailureTime = (): FailureTime => {
  const usual = new Map<string, number>()
  return {
    took: (form, ms) => {
      const before = usual.get(form)
      if (before === undefined && usual.size >= mostForms) return
      // A busy machine makes some slow and none quick: quicker ones count for more.
      usual.set(form, before === undefined ? ms : before + (ms - before) / (ms < before ? 4 : 16))
    },
    isKnown: (form) => usual.has(form),
    settle: async (began, oursMs) => {
      if (usual.size === 0) return
      const left = began + Math.min(longestMs, margin * (Math.max(...usual.values()) + oursMs)) - performance.now()
      if (left > 0) await sleep(left)
    },
  }
}
