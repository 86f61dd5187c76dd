/** The cookie of a session: its name and attributes are said here and nowhere else. */
import { type CookieOptions, readCookie, writeCookie } from '#/lib/cookie.ts'

export const sessionCookieName = 'signet_session'

/** Seconds a session lasts when nobody says otherwise. */
export const sessionSeconds = 14 * 86_400

type Issuer = Pick<CookieOptions, 'issuerUrl' | 'pathPrefix'>

/** What `oidc-provider` and others who write this cookie by themselves must set. Secure not on plain HTTP, where a browser would not send it back. */
export const sessionCookieAttributes = ({ issuerUrl, pathPrefix }: Issuer) =>
  ({ path: pathPrefix || '/', httpOnly: true, sameSite: 'lax', secure: issuerUrl.startsWith('https:') }) as const

/** The token in a Cookie header. */
export const readSessionCookie = (header: string | undefined): string | undefined => readCookie(header, sessionCookieName)

/** Value of `Set-Cookie` that hands a session's token to the browser. */
export const setSessionCookie = (token: string, issuer: Issuer, expiresAt: Date, now: Date): string =>
  writeCookie(sessionCookieName, token, { ...issuer, maxAgeSeconds: (expiresAt.getTime() - now.getTime()) / 1_000 })

/** Value of `Set-Cookie` that takes it away. */
export const clearSessionCookie = (issuer: Issuer): string => writeCookie(sessionCookieName, '', { ...issuer, maxAgeSeconds: 0 })
