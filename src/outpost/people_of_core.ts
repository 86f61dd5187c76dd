/** People as outposts are told of them, from the database. */
import { findToken } from '#/identity/api_tokens.ts'
import { effectiveGroups } from '#/identity/groups.ts'
import { findUser } from '#/identity/users.ts'
import type { Db } from '#/lib/sql.ts'
import { hasGrantOfClients } from '#/model/grants.ts'
import { mayI } from '#/policy/access.ts'
import type { GuardedApplication, Person } from './core.ts'

/** `programs`: service accounts too, which have no sign-in. */
export const findPerson = async (db: Db, user_id: string, programs = false): Promise<Person | undefined> => {
  const user = await findUser(db, user_id)
  if (!user?.active || (user.serviceAccount && !programs)) return undefined
  const { id, username, email, name, active, attributes } = user
  return { id, username, email: email ?? '', name: name ?? '', active, attributes, groups: (await effectiveGroups(db, id)).toSorted() }
}

/** Who a token is of that may use this application, by its `namespace/name`. */
export const findMachine = async (db: Db, { token, key }: { token: string; key: string }, now: Date): Promise<Person | undefined> => {
  const found = await findToken(db, token, now)
  const [namespace] = key.split('/')
  const scope = found && { kinds: found.scope.kinds, namespaces: found.scope.namespaces, verbs: found.scope.verbs }
  return found?.user_id && scope && mayI([[scope]], { verb: 'use', kind: 'Application', namespace })
    ? await findPerson(db, found.user_id, true)
    : undefined
}

/**
 * Someone that an outpost has seen: who has a session that came through one of its applications. Whoever takes the token of an outpost reads
 * nobody else.
 */
export const findPersonSeen = async (
  db: Db,
  { user_id, applications }: { user_id: string; applications: readonly GuardedApplication[] },
  now: Date,
): Promise<Person | undefined> => {
  const hasSignedIn = await hasGrantOfClients(
    db,
    { user_id, issuers: applications.map(({ issuer }) => issuer.url), client_ids: applications.map(({ client }) => client.clientId) },
    now,
  )
  return hasSignedIn ? await findPerson(db, user_id) : undefined
}
