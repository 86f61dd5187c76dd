import type { IncomingHttpHeaders } from 'node:http'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { errors } from 'oidc-provider'
import { sessionCookieAttributes } from '#/identity/session_cookie.ts'
import type { ResolvedAuthServer } from '#/resources/snapshot.ts'
import { type PageDeps, shownClient, showPage } from './pages.ts'
import { subjectOf } from './subject.ts'

export const logoutPages = (deps: PageDeps & { authServer: ResolvedAuthServer }) => ({
  logoutSource: async (context: KoaContextWithOIDC) => {
    const { session, client } = context.oidc
    const xsrf = session?.state?.secret
    if (typeof xsrf !== 'string') throw new errors.InvalidRequest('could not find logout details')
    if (await isOfThisSession(context)) return await endAtOnce(deps, context)
    showPage(deps, context, 'logout_confirm', {
      action: context.oidc.urlFor('end_session_confirm'),
      hidden: { xsrf },
      ...(client && { client: shownClient(client) }),
    })
  },
  postLogoutSuccessSource: (context: KoaContextWithOIDC) => {
    const { client } = context.oidc
    showPage(deps, context, 'logged_out', { ...(client && { client: shownClient(client) }) })
  },
})

/**
 * Whether the ID token that came is one of this browser's own session, for its person. A link alone must not sign anyone out, so in every other case
 * they are asked (OpenID Connect RP-Initiated Logout 1.0 sections 2 and 6). Its signature, issuer and audience were verified; that it has expired does
 * not matter (section 4).
 */
const isOfThisSession = async ({ method, oidc, req }: KoaContextWithOIDC): Promise<boolean> => {
  const { session, client, provider } = oidc
  const hint = oidc.entities.IdTokenHint as { header: { typ?: unknown }; payload: { sid?: unknown; sub?: unknown } } | undefined
  if (!hint || !client || !session?.accountId) return false
  if (method === 'HEAD' || !isVisit(req.headers)) return false
  // Tokens of other types name a session too, and are in other hands.
  const { typ } = hint.header
  if (typ !== undefined && typ !== 'JWT') return false
  const { sid, sub } = hint.payload
  // Looking for it must not give the client a part in the session.
  const own = session.authorizations?.[client.clientId]?.sid
  if (typeof sid !== 'string' || sid === '' || sid !== own) return false
  return sub === (await subjectOf(provider, session.accountId, client))
}

/** A person goes there, as far as browsers say; not a picture of some page, a frame, a script, or a browser that fetches ahead. */
const isVisit = (headers: IncomingHttpHeaders): boolean =>
  headers['sec-purpose'] === undefined && headers.purpose === undefined && (headers['sec-fetch-dest'] ?? 'document') === 'document'

/** As the page's button does. What else hangs on a session ends with its row. */
const endAtOnce = async ({ authServer }: { authServer: ResolvedAuthServer }, context: KoaContextWithOIDC): Promise<void> => {
  const { session, provider, params } = context.oidc
  await session?.destroy()
  context.cookies.set(provider.cookieName('session'), null, sessionCookieAttributes(authServer))
  // Allowed for the client, or it would not be here.
  const uri = params?.post_logout_redirect_uri
  const target = new URL(typeof uri === 'string' ? uri : context.oidc.urlFor('end_session_success'))
  if (typeof uri === 'string' && typeof params?.state === 'string') target.searchParams.set('state', params.state)
  context.status = 303
  context.redirect(target.href)
}
