/**
 * The signing keys of one issuer. A key is published as soon as it is made, signs from `active_from`, and stays published after its
 * successor has taken over for as long as something it signed may be looked at. So every application has seen a key before it is used, and
 * none misses one that is still needed.
 */
import { openVault, type Vault } from '#/lib/crypto.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import {
  announceSigningKeys,
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  retireSigningKey,
  type SigningAlg,
  type SigningKeyRow,
} from '#/model/signing_keys.ts'
import { keptAlgorithms } from '#/policy/resolved_client.ts'
import { newSigningKey, openSigningKey, type SigningKey } from './signing_key.ts'

export interface KeyringDeps {
  db: Db
  log: Log
  rootSecret: Secret
}

export interface RotationSettings {
  algorithms: readonly SigningAlg[]
  /** Age at which a key is followed by another. */
  everyMs: number
  /** How long a key is published before it signs and after it last signed. */
  overlapMs: number
  /** A value not seen before has the next keys take over at once. */
  cause: string | undefined
}

export interface Keyring {
  readonly issuer: string
  /** The one that signs now, by algorithm. */
  readonly signers: ReadonlyMap<SigningAlg, SigningKey>
  /** Every published one. */
  readonly keys: readonly SigningKey[]
  /** When another key takes over or one is no longer published. */
  readonly validUntil: Date
}

export const openKeysVault = (rootSecret: Secret): Vault => openVault(rootSecret, 'signing_keys')

/** The keys as they stand at `now`. */
export const keyringOf = (issuer: string, keys: readonly SigningKey[], now: Date): Keyring => {
  const published = keys.filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
  const signers = new Map<SigningAlg, SigningKey>()
  let validUntil = Number.POSITIVE_INFINITY
  for (const key of published) {
    if (key.activeFrom <= now) signers.set(key.alg, newest(signers.get(key.alg), key))
    else validUntil = Math.min(validUntil, key.activeFrom.getTime())
    if (key.expiresAt) validUntil = Math.min(validUntil, key.expiresAt.getTime())
  }
  return {
    issuer,
    signers,
    // Signers first: whoever takes the first of an algorithm signs with the right one.
    keys: published.toSorted((a, b) => Number(signers.get(b.alg) === b) - Number(signers.get(a.alg) === a)),
    validUntil: new Date(Math.min(validUntil, 8.64e15)),
  }
}

const newest = (one: SigningKey | undefined, other: SigningKey) => (one && one.activeFrom > other.activeFrom ? one : other)

export type RotationStep =
  | { kind: 'make'; alg: SigningAlg; active_from: Date }
  /** No longer published from then on. */
  | { kind: 'retire'; kid: string; expires_at: Date }

/** What is to be done with an issuer's keys at `now`. */
export const planRotation = (
  rows: readonly Pick<SigningKeyRow, 'kid' | 'alg' | 'active_from' | 'expires_at' | 'cause'>[],
  settings: RotationSettings,
  now: Date,
): RotationStep[] => {
  const { everyMs, overlapMs } = settings
  const algorithms = new Set<SigningAlg>(keptAlgorithms(settings.algorithms))
  const force = isAskedFor(rows, settings)
  const steps: RotationStep[] = []
  for (const { kid, alg, expires_at } of rows)
    if (!algorithms.has(alg) && expires_at === null) steps.push({ kind: 'retire', kid, expires_at: new Date(+now + overlapMs) })
  for (const alg of algorithms) {
    const open = rows.filter((row) => row.alg === alg && row.expires_at === null).toSorted((a, b) => +a.active_from - +b.active_from)
    const newest = open.at(-1)
    const due = newest === undefined || force || +now >= +newest.active_from + everyMs - overlapMs
    const successorFrom = newest === undefined || force ? now : new Date(Math.max(+now + overlapMs, +newest.active_from + everyMs))
    if (due) steps.push({ kind: 'make', alg, active_from: successorFrom })
    for (const [index, { kid }] of open.entries()) {
      const takenOverAt = open[index + 1]?.active_from ?? (due ? successorFrom : undefined)
      if (takenOverAt) steps.push({ kind: 'retire', kid, expires_at: new Date(+takenOverAt + overlapMs) })
    }
  }
  return steps
}

const isAskedFor = (rows: readonly Pick<SigningKeyRow, 'cause'>[], { cause }: RotationSettings): boolean =>
  cause !== undefined && rows.length > 0 && !rows.some((row) => row.cause === cause)

/** Does what is due, alone among all servers and workers. Answers whether anything was. */
export const rotateKeysOf = (
  { db, log, rootSecret }: KeyringDeps,
  { issuer, settings }: { issuer: string; settings: RotationSettings },
  now: Date,
): Promise<boolean> =>
  db.transaction(async (tx) => {
    await lockSigningKeys(tx, issuer)
    const steps = planRotation(await listSigningKeys(tx, issuer, now), settings, now)
    const vault = openKeysVault(rootSecret)
    for (const step of steps) {
      if (step.kind === 'retire') await retireSigningKey(tx, step.kid, step.expires_at)
      else {
        const key = await newSigningKey(step.alg, issuer, vault)
        await insertSigningKey(tx, { ...key, created_at: now, active_from: step.active_from, cause: settings.cause ?? null })
        log.info(
          { event: 'oidc.signing_key.made', issuer, alg: step.alg, kid: key.kid, active_from: step.active_from },
          'a signing key was made',
        )
      }
    }
    if (steps.length) await announceSigningKeys(tx, issuer)
    return steps.length > 0
  })

/** The issuer's keys; its first ones are made when there are none, once however many servers start at the same time. */
export const loadKeyring = async (
  deps: KeyringDeps,
  { issuer, settings }: { issuer: string; settings: RotationSettings },
  now: Date,
): Promise<Keyring> => {
  let rows = await listSigningKeys(deps.db, issuer, now)
  if (hasMissing(rows, settings) || isAskedFor(rows, settings)) {
    await rotateKeysOf(deps, { issuer, settings }, now)
    rows = await listSigningKeys(deps.db, issuer, now)
  }
  const vault = openKeysVault(deps.rootSecret)
  return keyringOf(
    issuer,
    rows.map((row) => openSigningKey(row, vault)),
    now,
  )
}

const hasMissing = (rows: readonly SigningKeyRow[], { algorithms }: RotationSettings) =>
  keptAlgorithms(algorithms).some((alg) => !rows.some((row) => row.alg === alg))
