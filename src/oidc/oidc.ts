/**
 * OpenID Connect and OAuth of every AuthServer: which provider answers, when it is made anew, and what is done before it. Everything under
 * `/oauth2/` and the two discovery documents come here, with the AuthServer's prefix already cut off.
 */
import './known_runtime.ts'

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Provider } from 'oidc-provider'
import { openVault } from '#/lib/crypto.ts'
import { getCaller } from '#/lib/http.ts'
import { openOutbound, privateNetworks } from '#/lib/outbound.ts'
import type { ResolvedAuthServer } from '#/resources/snapshot.ts'
import type { OidcDeps } from './deps.ts'
import { type Issuer, openIssuer } from './issuer.ts'
import { openLogouts } from './logouts.ts'

export interface Oidc {
  handle(request: IncomingMessage, response: ServerResponse): void
  /** Makes what answers for each AuthServer, which otherwise its first request does; of many only the first ones. */
  prepare(): Promise<void>
  close(): Promise<void>
}

/** Each takes some 20 ms and 1 MB. */
const preparedAtMost = 8

export const openOidc = async (deps: OidcDeps): Promise<Oidc> => {
  const outbound = openOutbound({ allowed: deps.settings.OUTBOUND_ALLOW ?? (deps.settings.DATABASE_URL ? [] : privateNetworks) })
  const vault = openVault(deps.rootSecret, 'oidc')
  const issuers = new Map<string, Issuer>()

  const issuerOf = (authServer: Pick<ResolvedAuthServer, 'namespace' | 'name' | 'issuerUrl'>): Issuer => {
    const key = `${authServer.namespace}/${authServer.name} ${authServer.issuerUrl}`
    let issuer = issuers.get(key)
    if (!issuer) {
      issuer = openIssuer({ ...deps, outbound, vault }, authServer)
      issuers.set(key, issuer)
    }
    return issuer
  }
  const byUrl = (issuerUrl: string) => deps.snapshot.authServers().find((authServer) => authServer.issuerUrl === issuerUrl)

  await deps.db.listen('signing_keys', (issuerUrl) => {
    for (const issuer of issuers.values()) if (issuerUrl === '' || issuer.issuerUrl === issuerUrl) issuer.forgetKeys()
  })
  const stopWatching = deps.snapshot.onChange(() => {
    for (const [key, issuer] of issuers)
      if (!byUrl(issuer.issuerUrl)) issuers.delete(key)
      else issuer.configurationChanged()
  })
  const logouts = await openLogouts({
    ...deps,
    outbound,
    providerOf: async (issuerUrl): Promise<Provider | undefined> => {
      const authServer = byUrl(issuerUrl)
      return authServer && (await issuerOf(authServer).provider())
    },
  })

  return {
    handle: (request, response) => issuerOf(getCaller(request).authServer).handle(request, response),
    prepare: async () => {
      for (const authServer of deps.snapshot.authServers().slice(0, preparedAtMost)) await issuerOf(authServer).provider()
    },
    close: async () => {
      stopWatching()
      await logouts.close()
      await outbound.close()
    },
  }
}
