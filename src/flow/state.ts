/** What stands in an attempt's row beyond reach of whoever can only write rows: signed as a whole, and sealed where it is secret. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { canonicalJson } from '#/lib/canonical_json.ts'
import { deriveKey, openVault, type Vault } from '#/lib/crypto.ts'
import type { Secret } from '#/lib/secret.ts'

/** Values that stages keep and no page, log or inspector shows. */
export type Hidden = Readonly<Record<string, unknown>>

/** `kept` belongs to one stage and goes with it; `carried` goes along to the end of the flow. */
export interface HiddenState {
  kept?: { stage_index: number; values: Hidden }
  carried?: Hidden
}

export interface SignedState {
  attempt_hash: Buffer
  flow_name: string
  /** By whom it was begun, and where it ends. */
  reference: string | null
  next: string
  state: string
  stage_index: number
  context: unknown
  facts: unknown
  sealed_state: Buffer | null
  /** Of the flow, while the attempt runs: its place means nothing among other stages. Empty when it is over. */
  revision: string
}

export interface AttemptStates {
  sign(state: SignedState): Buffer
  isOurs(state: SignedState & { signature: Buffer | null }): boolean
  /** Null for nothing. */
  seal(hidden: HiddenState, attempt_hash: Buffer): Buffer | null
  open(sealed: Buffer | null, attempt_hash: Buffer): HiddenState
  /** 256 bits in base64url that nobody can guess: the same for one version of one attempt, so that they need not be kept. */
  nonce(attempt_hash: Buffer, version: number): string
}

const opened = new WeakMap<Secret, AttemptStates>()

export const openAttemptStates = (rootSecret: Secret): AttemptStates => {
  const known = opened.get(rootSecret)
  if (known) return known
  const key = deriveKey(rootSecret, 'flow_attempts')
  const vault: Vault = openVault(rootSecret, 'flow_attempts')
  const sign = (state: SignedState): Buffer => {
    const { attempt_hash, flow_name, reference, next, context, facts, sealed_state, revision } = state
    const place = [flow_name, reference, next, state.state, state.stage_index, revision]
    return createHmac('sha256', key)
      .update(attempt_hash)
      .update(canonicalJson([...place, context, facts, sealed_state?.toString('base64') ?? null]))
      .digest()
  }
  const nonceKey = deriveKey(rootSecret, 'flow_attempts.nonce')
  const states: AttemptStates = {
    sign,
    nonce: (attempt_hash, version) => createHmac('sha256', nonceKey).update(attempt_hash).update(String(version)).digest('base64url'),
    isOurs: ({ signature, ...state }) => signature !== null && timingSafeEqual(sign(state), signature),
    seal: ({ kept, carried }, attempt_hash) =>
      kept === undefined && carried === undefined ? null : vault.seal(JSON.stringify({ kept, carried }), attempt_hash.toString('hex')),
    open: (sealed, attempt_hash) => (sealed === null ? {} : JSON.parse(vault.open(sealed, attempt_hash.toString('hex')).toString())),
  }
  opened.set(rootSecret, states)
  return states
}
