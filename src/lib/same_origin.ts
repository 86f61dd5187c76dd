import type { IncomingHttpHeaders } from 'node:http'

/**
 * Whether a request that changes something may have come from a page of ours. Browsers say where it comes from in Sec-Fetch-Site
 * (Fetch Metadata) and Origin; when neither is there, no browser's page of another site sent it.
 */
export const isSameOrigin = (headers: IncomingHttpHeaders, issuerUrl: string): boolean => {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  return headers.origin === undefined || headers.origin === new URL(issuerUrl).origin
}

/** The stricter one, where the cookie is all that a request shows: one of the two headers has to be there and say so. */
export const provesSameOrigin = (headers: IncomingHttpHeaders, issuerUrl: string): boolean =>
  (headers.origin !== undefined || headers['sec-fetch-site'] === 'same-origin') && isSameOrigin(headers, issuerUrl)
