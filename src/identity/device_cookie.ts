/** The cookie by which a device is remembered: its name and attributes are said here and nowhere else. */
import { type CookieOptions, readCookie, writeCookie } from '#/lib/cookie.ts'

const deviceCookieName = 'signet_device'

/** The token in a Cookie header. */
export const readDeviceCookie = (header: string | undefined): string | undefined => readCookie(header, deviceCookieName)

/** Value of `Set-Cookie` that hands it to the browser. */
export const setDeviceCookie = (
  token: string,
  issuer: Pick<CookieOptions, 'issuerUrl' | 'pathPrefix'>,
  expiresAt: Date,
  now: Date,
): string => writeCookie(deviceCookieName, token, { ...issuer, maxAgeSeconds: (expiresAt.getTime() - now.getTime()) / 1_000 })
