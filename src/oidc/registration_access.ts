import { findToken } from '#/identity/api_tokens.ts'
import { effectiveGroups } from '#/identity/groups.ts'
import type { Db } from '#/lib/sql.ts'
import { mayI, rulesOf } from '#/policy/access.ts'
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
  const own =
    token.user_id && token.username ? [rulesOf(roles, { username: token.username, groups: await effectiveGroups(db, token.user_id) })] : []
  return mayI([[token.scope], ...own], { verb: 'create', kind: 'AuthClient', namespace })
}
