/** Addresses of requests, as a browser sent them and a proxy handed them on. What readers of a path could understand differently is known as such. */

export interface Address {
  /** Lower case, with its port unless that is the usual one of the scheme. */
  host: string
  /** As it was sent, without its query. */
  path: string
  /** With its question mark; '' for none. */
  query: string
}

const hostPattern = /^(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::(\d{1,5}))?$/i
const longest = 16_384
/** A public path is matched against patterns, so its length bounds what that costs. */
const longestPlain = 2_048

/** `port` is left out where it is the usual one. Undefined for what is no host. */
export const parseHost = (host: string | undefined, scheme: string): string | undefined => {
  const found = hostPattern.exec(host ?? '')
  if (!found?.[1]) return undefined
  const name = found[1].toLowerCase()
  const port = found[2] === undefined ? '' : String(Number(found[2]))
  // Traefik says wss of a web socket.
  return port === '' || port === (scheme === 'https' || scheme === 'wss' ? '443' : '80') ? name : `${name}:${port}`
}

/** Origin form: a path, and a query. Undefined for anything else. */
export const parseTarget = (target: string | undefined): Pick<Address, 'path' | 'query'> | undefined => {
  if (target === undefined || target.length > longest || !/^\/[!"$-~]*$/.test(target)) return undefined
  const at = target.indexOf('?')
  return at < 0 ? { path: target, query: '' } : { path: target.slice(0, at), query: target.slice(at) }
}

/**
 * Whether every server reads this path alike: no empty, dot or parameter segments, no slash, backslash, percent or control character that was
 * encoded. A path that one reads as public and the next as private must not count as public.
 */
export const isPlain = (path: string): boolean =>
  path.length <= longestPlain &&
  !/\/\/|\\|;|%(?:[01].|2f|5c|25|2e|3b|3f|23|7f)/i.test(path) &&
  !path.split('/').some((segment) => segment === '.' || segment === '..') &&
  isDecodable(path)

/** Whether percent signs in it mean what they should, and what they mean is UTF-8. */
export const isDecodable = (path: string): boolean => {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}
