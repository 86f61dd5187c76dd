import type { KoaContextWithOIDC } from 'oidc-provider'
import type { PageName, PageVariables, ShownClient } from '#/flow/page_variables.ts'
import { type PageRenderer, renderPage } from '#/flow/pages.ts'
import { readLocales } from '#/lib/catalogue.ts'
import { getCaller } from '#/lib/http.ts'

export interface PageDeps {
  pages: PageRenderer
}

/** Answers with one of the pages, in the person's language. */
export const showPage = <Name extends PageName>(
  deps: PageDeps,
  context: KoaContextWithOIDC,
  name: Name,
  variables: PageVariables[Name],
): void => {
  const { headers } = context.req
  const { ui_locales } = context.query
  const { html, headers: pageHeaders } = renderPage(deps, name, variables, {
    locales: readLocales({
      ui_locales: typeof ui_locales === 'string' ? ui_locales : undefined,
      cookies: headers.cookie,
      acceptLanguage: headers['accept-language'],
    }),
    pathPrefix: getCaller(context.req).authServer.pathPrefix,
    product: getCaller(context.req).authServer.displayName,
  })
  context.body = html
  for (const [header, value] of Object.entries(pageHeaders)) context.set(header, value)
}

interface Displayed {
  clientId: string
  clientName?: string | undefined
  logoUri?: string | undefined
  clientUri?: string | undefined
  policyUri?: string | undefined
  tosUri?: string | undefined
}

/** What people see of a client. */
export const shownClient = ({ clientId, clientName, logoUri, clientUri, policyUri, tosUri }: Displayed): ShownClient => ({
  name: clientName ?? clientId,
  ...(logoUri !== undefined && { logo_uri: logoUri }),
  ...(clientUri !== undefined && { client_uri: clientUri }),
  ...(policyUri !== undefined && { policy_uri: policyUri }),
  ...(tosUri !== undefined && { tos_uri: tosUri }),
})
