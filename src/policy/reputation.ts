/**
 * How bad a network has been of late: pure. 0 is nothing known, or nothing bad; 100 is the worst. A failure raises it by one, and in six hours half
 * of it is forgotten. A success lowers it by a quarter only: who guesses and owns an account here would else wipe every failure away by
 * signing in once. An office of people who mistype one password in five stays at nothing.
 *
 * It locks nobody out (policy/lock_out does): conditions of flows read it, to ask for more.
 */

export const reputation = { worst: 100, failure: 1, success: -0.25, halfLifeMs: 6 * 3_600_000 } as const

export interface Reputation {
  score: number
  at: Date
}

/** What is left of a score by now. A clock that went back makes nothing worse. */
export const scoreAt = ({ score, at }: Reputation, now: Date): number =>
  score * 0.5 ** (Math.max(0, now.getTime() - at.getTime()) / reputation.halfLifeMs)

/** After one more sign-in; `model/network_reputations` says the same in SQL. */
export const scoreAfter = (before: Reputation | undefined, outcome: 'failure' | 'success', now: Date): number =>
  Math.min(reputation.worst, Math.max(0, (before ? scoreAt(before, now) : 0) + reputation[outcome]))

/** Of the worst score, less than a tenth is left by then: rows untouched since are worth nothing. */
export const forgottenSince = (now: Date): Date => new Date(now.getTime() - 10 * reputation.halfLifeMs)
