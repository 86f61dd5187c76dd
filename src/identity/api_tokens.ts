import { randomToken, sha256 } from '#/lib/crypto.ts'
import { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { type ApiToken, findApiTokenByHash, insertApiToken, touchApiToken } from '#/model/api_tokens.ts'

/** So that a scanner for secrets, and a person, know one when they see it. */
const prefix = 'signet_'

const shortest = 20
const longest = 4_096

export type TokenScope = ApiToken['scope']

export const unlimited: TokenScope = { kinds: ['*'], namespaces: ['*'], verbs: ['*'] }

export interface TokenToCreate {
  name: string
  /** Whose rights bound it; null: its scope alone decides. */
  user_id: string | null
  scope: TokenScope
  expires_at: Date | null
  /** A given one (BOOTSTRAP_TOKEN, the owner's file) instead of a random one. */
  token?: Secret
}

/** `token_id` is undefined when this very token exists already: nothing was changed then. */
export const createToken = async (
  db: Db,
  { token, ...fields }: TokenToCreate,
  now: Date,
): Promise<{ token: Secret; token_id: string | undefined }> => {
  const secret = token ?? new Secret(prefix + randomToken())
  const token_id = uuidv7(now)
  const made = await insertApiToken(db, { ...fields, token_id, token_hash: sha256(secret.reveal()), created_at: now })
  return { token: secret, token_id: made ? token_id : undefined }
}

/** What stands behind a Bearer token: undefined when unknown, expired, or of a user who is not active. */
export const findToken = async (db: Db, token: string, now: Date) => {
  if (token.length < shortest || token.length > longest) return undefined
  const found = await findApiTokenByHash(db, sha256(token), now)
  if (found && (!found.last_used_at || now.getTime() - found.last_used_at.getTime() > 60_000)) await touchApiToken(db, found.token_id, now)
  return found
}
