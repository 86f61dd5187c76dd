import { decodeJwt } from 'jose'
import { errors, type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { sha256 } from '#/lib/crypto.ts'
import { markSeen } from '#/model/oidc_replays.ts'
import type { StoreDeps } from './stores/store.ts'

/** Whether an identifier of a DPoP proof or client assertion comes for the first time. One insert decides, where the library would look and then write. */
export const openReplays =
  ({ db, issuer }: Pick<StoreDeps, 'db' | 'issuer'>) =>
  async (iss: string, jti: string, exp: number): Promise<boolean> => {
    const seen = { replay_hash: sha256(`${issuer}\n${iss}\n${jti}`), expires_at: new Date(Math.min(exp, 8.64e12) * 1000) }
    if (await markSeen(db, seen)) return true
    // RFC 9449 section 5, where the library says invalid_grant.
    if (Provider.ctx && isProofOfTokenRequest(Provider.ctx, jti)) throw new errors.InvalidDpopProof('DPoP proof was used before')
    return false
  }

/** And not that of an assertion, which is judged first and has an error of its own. */
const isProofOfTokenRequest = (context: KoaContextWithOIDC, jti: string): boolean =>
  context.oidc.route === 'token' && jtiOf(context.get('DPoP')) === jti && jtiOf(context.oidc.params?.client_assertion) !== jti

const jtiOf = (jwt: unknown): string | undefined => {
  try {
    return decodeJwt(String(jwt)).jti
  } catch {
    return undefined
  }
}
