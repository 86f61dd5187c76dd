import { sha256 } from '#/lib/crypto.ts'
import { markSeen } from '#/model/oidc_replays.ts'
import type { StoreDeps } from './stores/store.ts'

/** Whether an identifier of a DPoP proof or client assertion comes for the first time. One insert decides, where the library would look and then write. */
export const openReplays =
  ({ db, issuer }: Pick<StoreDeps, 'db' | 'issuer'>) =>
  (iss: string, jti: string, exp: number): Promise<boolean> =>
    markSeen(db, { replay_hash: sha256(`${issuer}\n${iss}\n${jti}`), expires_at: new Date(Math.min(exp, 8.64e12) * 1000) })
