import { sha256 } from '#/lib/crypto.ts'
import { keyOfNetwork } from '#/lib/network_key.ts'
import type { Db } from '#/lib/sql.ts'
import { findReputationRow, lowerReputation, raiseReputation } from '#/model/network_reputations.ts'
import { reputation, scoreAt } from '#/policy/reputation.ts'

const keyOf = (network: string): Buffer => sha256(`reputation:${keyOfNetwork(network)}`)

/** From 0 (nothing known, or nothing bad) to 100, in whole numbers, so that a condition compares it with one. */
export const findReputation = async (db: Db, network: string, now: Date): Promise<number> => {
  const found = await findReputationRow(db, keyOf(network))
  return found ? Math.round(scoreAt({ score: found.score, at: found.updated_at }, now)) : 0
}

/** Counts the outcome of a sign-in for the network it came from. */
export const countOutcome = async (db: Db, network: string, outcome: 'failure' | 'success', now: Date): Promise<void> => {
  const { halfLifeMs, worst } = reputation
  const change = { key: keyOf(network), by: reputation[outcome], halfLifeMs }
  await (outcome === 'failure' ? raiseReputation(db, { ...change, worst }, now) : lowerReputation(db, change, now))
}
