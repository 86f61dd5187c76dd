/** The requests of a code flow against an issuer of issuer.ts, where the person is signed in already. */
import { createHash, randomBytes } from 'node:crypto'
import { type At, clientManifest as askingClientManifest, redirectUri, type TokenAnswer } from './oauth.ts'

export { basic, claimsOf, exchange, introspect, post, redirectUri, token } from './oauth.ts'

/** A client whose consent is implicit; `more` is further YAML of its spec, indented by two. */
export const clientManifest = (name: string, more = '', scopes?: string): string =>
  askingClientManifest(name, `  consent: implicit\n${more}`, scopes)

export interface Authorized {
  code: string
  verifier: string
}

/** The answer of the authorization endpoint, not followed. */
export const request = (
  at: At,
  client: { client_id: string },
  cookie: string,
  parameters: Record<string, string> = {},
): Promise<Response> =>
  fetch(
    `${at.issuer}/oauth2/authorize?${new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid profile email',
      state: 'state',
      ...parameters,
    })}`,
    { redirect: 'manual', headers: { cookie } },
  )

/** Throws unless a code comes back. */
export const authorize = async (
  at: At,
  client: { client_id: string },
  cookie: string,
  parameters: Record<string, string> = {},
): Promise<Authorized> => {
  const verifier = randomBytes(32).toString('base64url')
  const code_challenge = createHash('sha256').update(verifier).digest('base64url')
  const answer = await request(at, client, cookie, { code_challenge, code_challenge_method: 'S256', ...parameters })
  const location = answer.headers.get('location') ?? ''
  const code = URL.canParse(location) ? new URL(location).searchParams.get('code') : null
  if (!code) throw new Error(`no code: ${answer.status} ${location} ${(await answer.text()).slice(0, 500)}`)
  return { code, verifier }
}

export const cookiesOf = (answer: Response): string =>
  answer.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ')

export const userinfo = async (at: At, access_token: string | undefined): Promise<TokenAnswer> => {
  const answer = await fetch(`${at.issuer}/oauth2/userinfo`, { headers: { authorization: `Bearer ${access_token}` } })
  const text = await answer.text()
  return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : {} }
}
