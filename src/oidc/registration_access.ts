import { findToken } from '#/identity/api_tokens.ts'
import { rulesOfUser } from '#/identity/rules.ts'
import type { Db } from '#/lib/sql.ts'
import { mayI } from '#/policy/access.ts'
import type { Snapshot } from '#/resources/snapshot.ts'

/** Whether a Bearer token lets its holder register clients: an API token that may create authclients in the AuthServer's namespace. */
export const mayRegister = async (
  { db, snapshot }: { db: Db; snapshot: Snapshot },
  authorization: string | undefined,
  namespace: string,
  now: Date,
): Promise<boolean> => {
  const credentials = /^Bearer +([\w.~+/-]+=*)$/i.exec(authorization ?? '')?.[1]
  const token = credentials === undefined ? undefined : await findToken(db, credentials, now)
  if (!token) return false
  const roles = snapshot.list('Role').map(({ spec }) => spec)
  const { user_id, username } = token
  const own = user_id && username ? [await rulesOfUser(db, roles, { user_id, username })] : []
  return mayI([[token.scope], ...own], { verb: 'create', kind: 'AuthClient', namespace })
}
