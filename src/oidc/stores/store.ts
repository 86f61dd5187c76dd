import type { Adapter, AdapterPayload } from 'oidc-provider'
import { errors } from 'oidc-provider'
import type { Clock } from '#/lib/clock.ts'
import type { Vault } from '#/lib/crypto.ts'
import type { Log } from '#/lib/log.ts'
import type { Db } from '#/lib/sql.ts'
import type { StoredPayload } from '#/model/grants.ts'
import type { Keyring } from '../keyring.ts'

/** What a store knows: one issuer's part of the tables. */
export interface StoreDeps {
  db: Db
  log: Log
  clock: Clock
  issuer: string
  vault: Vault
  keyring: () => Keyring
}

/** The parts of `oidc-provider`'s adapter that a model uses; what it leaves out is never called. */
export type OpenStore = (deps: StoreDeps) => Partial<Adapter>

export const secondsOf = (date: Date): number => Math.floor(date.getTime() / 1000)
export const dateOf = (seconds: number): Date => new Date(seconds * 1000)

/** Without what identifies the row, which would be worth something to whoever reads it. */
export const withoutId = ({ jti: _jti, ...payload }: AdapterPayload): StoredPayload => payload

export const expiryOf = (payload: AdapterPayload, expiresIn: number | undefined, now: Date): Date =>
  payload.exp !== undefined ? dateOf(payload.exp) : new Date(now.getTime() + (expiresIn ?? 0) * 1000)

/**
 * Runs a statement that stores what a request asked for, under a grant. When the grant was revoked in the meantime (23503), or a parameter has
 * the character NUL, which PostgreSQL keeps nowhere (22P05), that is the client's news and no fault of ours.
 */
export const underGrant = async <Result>(statement: Promise<Result>): Promise<Result> => {
  try {
    return await statement
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === '23503') throw new errors.InvalidGrant('grant not found')
    if (code === '22P05') throw new errors.InvalidRequest('a parameter has the character NUL')
    throw error
  }
}
