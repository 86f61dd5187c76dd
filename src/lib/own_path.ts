import { hasControlCharacters } from './control_characters.ts'

const base = 'http://own.invalid'

/**
 * A path of ours that a browser may be sent to, or the root: never another host, whatever tricks (`//host`, `/\host`, control
 * characters that browsers drop) the text tries. `pathPrefix` is the AuthServer's; a path outside it is not ours.
 */
export const ownPath = (text: unknown, pathPrefix = ''): string => {
  const root = `${pathPrefix}/`
  if (typeof text !== 'string' || text.length > 2_000 || hasControlCharacters(text) || !/^\/(?![/\\])[^\\\s]*$/.test(text)) return root
  if (!URL.canParse(text, base)) return root
  const url = new URL(text, base)
  const path = `${url.pathname}${url.search}${url.hash}`
  return url.origin === base && !path.startsWith('//') && (path === pathPrefix || path.startsWith(root)) ? path || root : root
}
