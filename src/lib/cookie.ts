/** Cookies of ours: read from a Cookie header, written as a Set-Cookie value. Values are tokens in base64url, so nothing is encoded. */

/** The first cookie of that name; undefined when there is none or it is not one we could have set. */
export const readCookie = (header: string | undefined, name: string): string | undefined => {
  if (!header) return undefined
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) {
      const value = pair.slice(at + 1).trim()
      return /^[\w.~-]{1,512}$/.test(value) ? value : undefined
    }
  }
  return undefined
}

export interface CookieOptions {
  /** `AuthServerRef.pathPrefix`: the cookie belongs to that issuer. */
  pathPrefix: string
  /** `https` issuers get Secure. */
  issuerUrl: string
  /** Absent: until the browser is closed. 0: taken away. */
  maxAgeSeconds?: number
}

/** HttpOnly, SameSite=Lax: sent when a person comes from elsewhere by a link or redirect, never with a foreign site's post. */
export const writeCookie = (name: string, value: string, { pathPrefix, issuerUrl, maxAgeSeconds }: CookieOptions): string => {
  const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${Math.max(0, Math.floor(maxAgeSeconds))}`
  return `${name}=${value}; Path=${pathPrefix || '/'}${age}; HttpOnly; SameSite=Lax${issuerUrl.startsWith('https:') ? '; Secure' : ''}`
}
