/**
 * Introspection and revocation take our JWT access tokens like any other. The library refuses whatever looks like a JWT before it looks it up,
 * so the parameter is marked on its way in; the store takes the mark off.
 */
import { jwtMark } from './jwt_access_token.ts'

export const takesJwt = (url: string): boolean => /^\/oauth2\/(introspect|revoke)(\?|$)/.test(url)

/** Every `token` parameter that begins like a JWT. */
export const markJwt = (body: Buffer): Buffer => {
  const text = body.toString('latin1')
  const marked = text.replace(/(^|&)token=(?=eyJ)/g, `$1token=${encodeURIComponent(jwtMark)}`)
  return marked === text ? body : Buffer.from(marked, 'latin1')
}
