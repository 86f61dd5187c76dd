import type { KoaContextWithOIDC } from 'oidc-provider'
import { errors } from 'oidc-provider'
import { type PageDeps, shownClient, showPage } from './pages.ts'

export const logoutPages = (deps: PageDeps) => ({
  logoutSource: (context: KoaContextWithOIDC) => {
    const { session, client } = context.oidc
    const xsrf = session?.state?.secret
    if (typeof xsrf !== 'string') throw new errors.InvalidRequest('could not find logout details')
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
