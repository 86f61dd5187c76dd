/**
 * Who calls, and with which grants: an API token (RFC 6750, Authorization header only), or the session of a person at a browser.
 * A change by cookie must come from a page of ours, since a browser sends cookies whoever made it ask.
 */
import type { FastifyRequest } from 'fastify'
import { findToken, type TokenScope } from '#/identity/api_tokens.ts'
import { rulesOfUser } from '#/identity/rules.ts'
import { sessionCookieName } from '#/identity/session_cookie.ts'
import { findSession, type SessionOfPerson } from '#/identity/sessions.ts'
import { readCookie } from '#/lib/cookie.ts'
import { getCaller } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import { provesSameOrigin } from '#/lib/same_origin.ts'
import type { Db } from '#/lib/sql.ts'
import { type Grants, mayI, mayISomewhere, type Right, type RoleSpec, type Rule } from '#/policy/access.ts'
import type { Snapshot } from '#/resources/snapshot.ts'

export interface ApiCaller {
  /** As whom events name them: a username, or the name of a token that belongs to nobody. */
  actor: string
  grants: Grants
  /** The person, or the owner of the token; undefined for a token of the program's own. */
  user: { user_id: string; username: string } | undefined
  /** Of the token they came with; undefined with a session. */
  scope?: TokenScope
  /** When that token ends; undefined: never. */
  expiresAt?: Date
  /** The session they came with. */
  session?: SessionOfPerson
  may(right: Right): boolean
  /** Throws `forbidden`, naming what is missing. */
  require(right: Right): void
  /** For a thing that has a namespace only when it is there: who may do it nowhere hears `forbidden`, others `not_found`. */
  requireOfFound<Found>(found: Found | undefined, right: Omit<Right, 'namespace'>, namespaceOf: (found: Found) => string): Found
}

export interface AuthenticatorDeps {
  db: Db
  snapshot: Snapshot
}

export const openAuthenticator = (deps: AuthenticatorDeps) => {
  const rolesOf = openRoles(deps.snapshot)
  return async (request: FastifyRequest, now: Date): Promise<ApiCaller> => {
    const { authorization, cookie } = request.headers
    if (authorization !== undefined) return fromToken(deps, rolesOf, authorization, now)
    const value = readCookie(cookie, sessionCookieName)
    if (value === undefined) throw new Problem('unauthenticated')
    return fromSession(deps, rolesOf, { request, value, now })
  }
}

/** For what only a person at a browser can be asked. */
export const getSession = ({ session }: ApiCaller): SessionOfPerson => {
  if (!session) throw new Problem('unauthenticated', { detail: 'sign in at /flow/authentication' })
  return session
}

/** The specs of all Roles, collected once a change of configuration. */
export const openRoles = (snapshot: Snapshot): (() => readonly RoleSpec[]) => {
  let generation: unknown
  let roles: RoleSpec[] = []
  return () => {
    if (generation !== snapshot.generation) {
      generation = snapshot.generation
      roles = snapshot.list('Role').map(({ spec }) => spec)
    }
    return roles
  }
}

type Roles = () => readonly RoleSpec[]

const fromToken = async ({ db }: AuthenticatorDeps, roles: Roles, authorization: string, now: Date): Promise<ApiCaller> => {
  const credentials = /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
  const token = credentials === undefined ? undefined : await findToken(db, credentials, now)
  if (!token) throw new Problem('unauthenticated', { detail: 'the token is unknown, expired, or its owner is not active' })
  const scope: readonly Rule[] = [token.scope]
  const user = token.user_id && token.username ? { user_id: token.user_id, username: token.username } : undefined
  const grants = user ? [scope, await rulesOfUser(db, roles(), user)] : [scope]
  return {
    ...withRights(grants),
    actor: user ? user.username : `token:${token.name}`,
    user,
    scope: token.scope,
    ...(token.expires_at ? { expiresAt: token.expires_at } : {}),
  }
}

const fromSession = async (
  { db }: AuthenticatorDeps,
  roles: Roles,
  { request, value, now }: { request: FastifyRequest; value: string; now: Date },
): Promise<ApiCaller> => {
  const { authServer, network } = getCaller(request.raw)
  if (!isSafe(request.method) && !provesSameOrigin(request.headers, authServer.issuerUrl))
    throw new Problem('forbidden', { detail: 'a change with a session must come from a page of this host' })
  const session = await findSession(db, value, now, network)
  // The cookie of an issuer at `/` reaches those below it too, where it is not theirs.
  if (!session || (session.issuer !== null && session.issuer !== authServer.issuerUrl))
    throw new Problem('unauthenticated', { detail: 'the session is over' })
  const { id: user_id, username } = session.user
  return {
    ...withRights([await rulesOfUser(db, roles(), { user_id, username })]),
    actor: username,
    user: { user_id, username },
    session,
  }
}

export const withRights = (grants: Grants): Pick<ApiCaller, 'grants' | 'may' | 'require' | 'requireOfFound'> => {
  const refuse = (right: Right): never => {
    throw new Problem('forbidden', { detail: `this needs the right to ${nameOf(right)}` })
  }
  const require = (right: Right): void => {
    if (!mayI(grants, right)) refuse(right)
  }
  return {
    grants,
    may: (right) => mayI(grants, right),
    require,
    requireOfFound: (found, right, namespaceOf) => {
      if (found === undefined) {
        if (!mayISomewhere(grants, right)) refuse(right)
        throw new Problem('not_found')
      }
      require({ ...right, namespace: namespaceOf(found) })
      return found
    },
  }
}

export const nameOf = ({ verb, kind, namespace }: Right): string =>
  `${verb} ${kind === '*' ? 'everything' : kind}${namespace === undefined || namespace === '*' ? ' in all namespaces' : ` in namespace ${namespace}`}`

const isSafe = (method: string) => method === 'GET' || method === 'HEAD'
