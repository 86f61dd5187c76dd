/** Who is at the portal, and what proves that a post came from a page of theirs. */
import type { FastifyRequest } from 'fastify'
import type { Change } from '#/identity/change.ts'
import type { MailDeps } from '#/identity/mail.ts'
import { readSessionCookie } from '#/identity/session_cookie.ts'
import { findSession, type SessionOfPerson } from '#/identity/sessions.ts'
import { readLocales } from '#/lib/catalogue.ts'
import { sameSecret, sha256 } from '#/lib/crypto.ts'
import { type Caller, getCaller } from '#/lib/http.ts'
import { Problem } from '#/lib/problem.ts'
import { isSameOrigin } from '#/lib/same_origin.ts'
import type { Db } from '#/lib/sql.ts'

export interface Person extends Caller {
  session: SessionOfPerson
  /** Goes into every form of a page: only who holds the session's cookie can know it. */
  token: string
  locales: string[]
  userAgent: string | undefined
}

/** Undefined when nobody is signed in here. A session of another issuer of ours is not one of this. */
export const findPerson = async (db: Db, request: FastifyRequest, now: Date): Promise<Person | undefined> => {
  const caller = getCaller(request.raw)
  const cookies = request.headers.cookie
  const cookie = readSessionCookie(cookies)
  const session = cookie === undefined ? undefined : await findSession(db, cookie, now, caller.network)
  if (!session || cookie === undefined || session.issuer !== caller.authServer.issuerUrl) return undefined
  const { ui_locales } = request.query as Record<string, unknown>
  return {
    ...caller,
    session,
    userAgent: request.headers['user-agent'],
    token: sha256(`portal:${cookie}`).toString('base64url'),
    locales: readLocales({
      ui_locales: typeof ui_locales === 'string' ? ui_locales : undefined,
      cookies,
      acceptLanguage: request.headers['accept-language'],
    }).concat(session.user.locale ?? []),
  }
}

/** Who does it and from where, for the event. */
export const changeOf = ({ session, network, requestId }: Person): Change => ({ actor: session.user.username, network, requestId })

/** The same, of what the person is told by mail. */
export const toldChangeOf = (person: Person, { settings, rootSecret }: MailDeps): Change => {
  const { authServer, userAgent } = person
  return {
    ...changeOf(person),
    notices: { settings, rootSecret, issuerUrl: authServer.issuerUrl, product: authServer.displayName, userAgent },
  }
}

/** Throws `forbidden` unless the post came from a page that this person was shown. */
export const checkPost = (person: Person, request: FastifyRequest, body: Readonly<Record<string, string>>): void => {
  if (!isSameOrigin(request.headers, person.authServer.issuerUrl) || !sameSecret(body.token ?? '', person.token))
    throw new Problem('forbidden', { detail: 'the request does not come from a page of ours' })
}
