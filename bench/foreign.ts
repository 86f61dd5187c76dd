/** Any other OpenID provider, by its discovery address. Signing people in is its own affair: tokens of a person are handed in. */
import { clientToken } from './ours.ts'
import type { Target } from './target.ts'

export interface ForeignOptions {
  issuer: string
  id: string
  secret: string
  accessToken: string | undefined
}

interface Discovery {
  authorization_endpoint?: string
  token_endpoint: string
  introspection_endpoint?: string
  userinfo_endpoint?: string
}

export const openForeign = async ({ issuer, id, secret, accessToken }: ForeignOptions): Promise<Target> => {
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  if (!response.ok) throw new Error(`the discovery document of ${issuer} can't be read (${response.status})`)
  const discovery = (await response.json()) as Discovery
  const { origin } = new URL(discovery.token_endpoint)
  // The connections are those of the token endpoint: what stands elsewhere, or nowhere, is not measured.
  const path = (address: string | undefined) => (address && new URL(address).origin === origin ? new URL(address).pathname : '')
  const target: Target = {
    name: issuer,
    origin,
    endpoints: {
      authorization: path(discovery.authorization_endpoint),
      token: path(discovery.token_endpoint),
      introspection: path(discovery.introspection_endpoint),
      userinfo: path(discovery.userinfo_endpoint),
    },
    client: { id, secret, redirectUri: '' },
    session: async () => undefined,
    accessToken: async () => (target.endpoints.userinfo ? accessToken : undefined),
    // One token is one chain of requests: nothing that several connections could share.
    refreshToken: async () => undefined,
    tokenToIntrospect: async () => (target.endpoints.introspection ? clientToken(target) : undefined),
  }
  return target
}
