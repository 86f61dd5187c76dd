/**
 * Authorization responses that are posted to the client (OAuth 2.0 Form Post Response Mode), by a page of ours: the library's own has an inline script
 * and no Content-Security-Policy. It holds no form-action, because browsers hold the redirects of the client's answer to it too.
 */
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { type PageDeps, shownClient, showPage } from './pages.ts'

type Payload = Record<string, unknown>
type ResponseMode = Parameters<Provider['registerResponseMode']>[1]

const answer = (deps: PageDeps, context: KoaContextWithOIDC, redirect_uri: string, parameters: Payload): void => {
  const { client } = context.oidc
  showPage(deps, context, 'form_post', {
    action: redirect_uri,
    hidden: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)])),
    ...(client && { client: shownClient(client) }),
  })
}

/** What the library answers an error with that it redirects for otherwise, a status of the redirect. */
const settleStatus = (context: KoaContextWithOIDC, { error }: Payload): void => {
  if (![200, 400, 500].includes(context.status)) context.status = error === undefined ? 200 : 400
}

const modes = (deps: PageDeps): Record<string, ResponseMode> => ({
  form_post: (context, redirect_uri, payload) => {
    settleStatus(context, payload)
    answer(deps, context, redirect_uri, payload)
  },
  // JWT Secured Authorization Response Mode section 2.3.3.
  'form_post.jwt': async (context, redirect_uri, payload) => {
    const { IdToken } = context.oidc.provider
    // The types know it as read-only.
    const token = Object.assign(new IdToken({}, { ctx: context }), { extra: payload })
    const response = await token.issue({ use: 'authorization' })
    settleStatus(context, payload)
    answer(deps, context, redirect_uri, { response })
  },
})

/** The library takes a response mode once, while it is made; its own come first. */
export const providerWithOwnFormPost = (deps: PageDeps): typeof Provider => {
  const own = modes(deps)
  return class extends Provider {
    override registerResponseMode(name: string, handler: ResponseMode): void {
      super.registerResponseMode(name, own[name] ?? handler)
    }
  }
}

/**
 * The library posts a browser on to the end of a session by the same page: where nobody is signed in, and where somebody else has signed in meanwhile.
 * There it can not be told to use another.
 */
export const replaceLibraryForms = (provider: Provider, deps: PageDeps): void => {
  provider.use(async (context, next) => {
    await next()
    if (typeof context.body !== 'string' || !context.body.includes('<title>Submitting Callback</title>')) return
    // The library's own context is the same object.
    const library = context as unknown as KoaContextWithOIDC
    const { oidc } = library
    answer(deps, library, oidc.urlFor('end_session_confirm'), { xsrf: oidc.session?.state?.secret, logout: 'yes' })
  })
}
