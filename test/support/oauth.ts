/** An OAuth client that does what it is told, right or wrong, and shows the raw answers. Sound clients are `openid-client` and Apache. */
import { createHash, randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { newVisitor, type Page, type Visitor, walk } from './http.ts'
import type { Signet } from './signet.ts'

export interface ClientCredentials {
  client_id: string
  client_secret: string
}

export interface TokenAnswer {
  status: number
  body: {
    access_token?: string
    refresh_token?: string
    id_token?: string
    token_type?: string
    expires_in?: number
    scope?: string
    error?: string
    error_description?: string
    [field: string]: unknown
  }
}

export const redirectUri = 'https://client.example/callback'

/** A confidential client of the AuthServer `default`; `more` is further YAML of its spec, indented by two. */
export const clientManifest = (name: string, more = '', scopes = 'openid, profile, email, groups, offline_access'): string => `
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: { name: ${name}, namespace: default }
spec:
  displayName: Client ${name}
  authServerRef: { name: default }
  redirectUris: ['${redirectUri}']
  scopes: [${scopes}]
${more}
`

export const makeClient = async (signet: Signet, name: string, more?: string, scopes?: string): Promise<ClientCredentials> => {
  await signet.apply(clientManifest(name, more, scopes))
  const { body, status, text } = await signet.api<ClientCredentials>('GET', `/api/v1/namespaces/default/authclients/${name}/credentials`)
  if (status !== 200) throw new Error(`credentials answered ${status}: ${text}`)
  return body
}

export const post = async (
  url: string,
  parameters: Record<string, string> | string | [string, string][],
  headers: Record<string, string> = {},
): Promise<TokenAnswer> => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof parameters === 'string' ? parameters : new URLSearchParams(parameters).toString(),
  })
  const text = await response.text()
  return { status: response.status, body: (text.startsWith('{') ? JSON.parse(text) : {}) as TokenAnswer['body'] }
}

export const basic = ({ client_id, client_secret }: ClientCredentials): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(client_id)}:${encodeURIComponent(client_secret)}`).toString('base64')}`,
})

/** Whom the requests go to: a Signet, or an issuer of issuer.ts. */
export type At = Pick<Signet, 'issuer'>

export const token = (at: At, client: ClientCredentials, parameters: Record<string, string>): Promise<TokenAnswer> =>
  post(`${at.issuer}/oauth2/token`, parameters, basic(client))

export interface Started {
  url: string
  verifier: string
  state: string
  nonce: string
}

export const authorizeUrl = (signet: Signet, { client_id }: { client_id: string }, more: Record<string, string> = {}): Started => {
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(8).toString('base64url')
  const nonce = randomBytes(8).toString('base64url')
  const query = new URLSearchParams({
    client_id,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile email offline_access',
    state,
    nonce,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  })
  return { url: `${signet.issuer}/oauth2/authorize?${query}`, verifier, state, nonce }
}

export interface SignedIn extends Started {
  visitor: Visitor
  page: Page
  code: string
}

/** The whole way of a person through sign-in and consent, ending at the client's redirect_uri with a code. */
export const signIn = async (
  signet: Signet,
  client: { client_id: string },
  {
    username = 'admin',
    password = signet.password,
    visitor = newVisitor(signet.issuer),
    parameters = {},
  }: { username?: string; password?: string; visitor?: Visitor; parameters?: Record<string, string> } = {},
): Promise<SignedIn> => {
  const started = authorizeUrl(signet, client, { prompt: 'consent', ...parameters })
  const page = await walk(visitor, await visitor.open(started.url), { username, password })
  const code = page.left?.searchParams.get('code')
  if (!code) throw new Error(`no code: ${page.status} ${page.url}\n${page.text.slice(0, 800)}`)
  return { ...started, visitor, page, code }
}

export const exchange = (at: At, client: ClientCredentials, { code, verifier }: { code: string; verifier: string }): Promise<TokenAnswer> =>
  token(at, client, { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier })

export const refresh = (signet: Signet, client: ClientCredentials, refresh_token = ''): Promise<TokenAnswer> =>
  token(signet, client, { grant_type: 'refresh_token', refresh_token })

export const introspect = (at: At, client: ClientCredentials, value = ''): Promise<TokenAnswer> =>
  post(`${at.issuer}/oauth2/introspect`, { token: value }, basic(client))

export const claimsOf = (jwt: string | undefined): Record<string, unknown> => decodeJwt(jwt ?? '')
