/**
 * Codes and refresh tokens succeed once. `oidc-provider` finds, checks, consumes and then stores a successor, each a step of its own; between
 * two of them another request or a crash may come. Here consuming is put off until the successor is stored and happens in the same statement;
 * where there is no successor it happens before the answer leaves. Whoever finds it consumed by another has proof that it was used twice,
 * and that ends the grant and every token of it (RFC 9700 section 4.14.2, RFC 6749 section 4.1.2).
 */
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { recordEvent } from '#/events/record.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Log } from '#/lib/log.ts'
import type { Db } from '#/lib/sql.ts'
import { consumeAuthorizationCode } from '#/model/authorization_codes.ts'
import { consumeDeviceCode } from '#/model/device_codes.ts'
import { holdGrant, revokeGrant } from '#/model/grants.ts'
import {
  consumeRefreshToken,
  type RefreshTokenToStore,
  redeemCodeForRefreshToken,
  rotateRefreshToken,
  storeRefreshToken,
} from '#/model/refresh_tokens.ts'
import { type Consuming, memoryOfContext, type RequestMemory } from './request_memory.ts'

interface Deps {
  db: Db
  log: Log
  clock: Clock
}

const alone = {
  AuthorizationCode: consumeAuthorizationCode,
  RefreshToken: consumeRefreshToken,
  DeviceCode: consumeDeviceCode,
} satisfies Record<Consuming['kind'], (db: Db, hash: Buffer, now: Date) => Promise<number>>

const together = {
  AuthorizationCode: redeemCodeForRefreshToken,
  RefreshToken: rotateRefreshToken,
  DeviceCode: (db: Db, hash: Buffer, token: RefreshTokenToStore, now: Date) =>
    db.transaction(async (tx) => {
      // First, as whoever ends a grant does.
      await holdGrant(tx, token.grant_id)
      const consumed = await consumeDeviceCode(tx, hash, now)
      if (consumed) await storeRefreshToken(tx, token)
      return consumed
    }),
} satisfies Record<Consuming['kind'], (db: Db, hash: Buffer, token: RefreshTokenToStore, now: Date) => Promise<number>>

/** Stores the token in exchange for what the request consumes. Throws invalid_grant when another request was first. */
export const consumeFor = async (deps: Deps, memory: RequestMemory, token: RefreshTokenToStore): Promise<void> => {
  const { consuming } = memory
  if (!consuming) return
  memory.consuming = undefined
  if (await together[consuming.kind](deps.db, consuming.hash, token, deps.clock())) return
  await endGrant(deps, consuming)
  throw new errors.InvalidGrant('already used')
}

/** After the request's own work: what is still to be consumed is consumed, whether the request succeeded or not. */
export const consumeAtEnd = async (deps: Deps, context: KoaContextWithOIDC): Promise<void> => {
  const memory = memoryOfContext(context)
  const { consuming } = memory
  if (!consuming) return
  memory.consuming = undefined
  if (await alone[consuming.kind](deps.db, consuming.hash, deps.clock())) return
  await endGrant(deps, consuming)
  if (context.status < 300) {
    context.status = 400
    context.body = { error: 'invalid_grant', error_description: 'grant request is invalid' }
  }
}

/** With its event, so that someone may ask how a token came into two hands. */
export const endGrant = async (
  { db, log, clock }: Deps,
  { kind, grant_id }: Pick<Consuming, 'grant_id'> & { kind: string },
): Promise<void> => {
  if (grant_id === undefined) return
  const now = clock()
  const revoked = await db.transaction(async (tx) => {
    const found = await revokeGrant(tx, grant_id)
    if (found)
      await recordEvent(
        tx,
        {
          action: 'grant.revoked',
          severity: 'warning',
          actor: 'oidc',
          target: { kind: 'User', name: found.user_id },
          client: found.client_id,
          data: { reason: 'used twice', what: kind },
        },
        now,
      )
    return found
  })
  if (revoked)
    log.warn(
      { event: 'oidc.reuse.detected', kind, client_id: revoked.client_id, user_id: revoked.user_id },
      'used twice: the grant is revoked',
    )
}
