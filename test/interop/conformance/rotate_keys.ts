import { systemClock } from '#/lib/clock.ts'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { rotateSigningKeys } from '#/oidc/keyring.ts'
import type { Signet } from '../../support/signet.ts'
import { issuers } from './configuration.ts'

/** Signing keys are followed by new ones at once, which the schedule would do after months. */
export const rotateKeys = async ({ database, env, issuer }: Signet): Promise<void> => {
  const deps = {
    db: database.db,
    log: openLog('silent'),
    clock: systemClock,
    rootSecret: new Secret(env.SIGNET_SECRET_KEY ?? ''),
  }
  const settings = { algorithms: ['ES256', 'RS256', 'EdDSA'] as const, everyMs: 90 * 86_400_000, overlapMs: 86_400_000 }
  await rotateSigningKeys(deps, { issuer: issuers(issuer).oidc, settings, force: true }, new Date())
}
