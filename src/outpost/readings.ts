/**
 * A proxy sends a request on by its own reading of the path, and an application reads it once more: they may decode it, take two slashes for one,
 * leave parameters out, overlook the case, resolve what goes up. Where several applications share a host, each such reading must lead to the same
 * one, or a request would be judged by the rule of one and answered by another.
 */

/** How often a path is decoded on its way, beginning with not at all. */
const levels = 3

/** Whether there is only one way to read a path. */
export const isUnambiguous = (path: string): boolean => /^(?:\/[a-z0-9._~-]*[a-z0-9_~-])*\/?$/.test(path)

/** By how often it was decoded; each without what servers overlook. */
export const readingsOf = (path: string): string[] => {
  const found: string[] = []
  for (let text = path; found.length < levels; text = decoded(text)) found.push(tidy(text))
  return found
}

/** For rules: as it was sent, and as servers may read it, in its own letters. None where it goes up: servers come to different ends. */
export const waysToRead = (path: string): string[] => {
  if (isUnambiguous(path)) return [path]
  if (goesUp(path)) return []
  const found = new Set([path])
  for (let text = path, level = 0; level < levels; text = decoded(text), level++) found.add(merged(text))
  return [...found]
}

/** Byte by byte: what is no UTF-8 is read by someone all the same. */
const decoded = (path: string): string =>
  path.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

const tidy = (path: string): string => merged(path).toLowerCase()

const merged = (path: string): string =>
  path
    .replaceAll('\\', '/')
    .replace(/;[^/]*/g, '')
    .replace(/\/{2,}/g, '/')

/**
 * The path with its dot segments resolved. Undefined where servers come to different ends, since they resolve before or after they decode, merge
 * slashes and leave parameters out.
 */
export const resolvedOf = (path: string): string | undefined =>
  /^(?:\/[a-z0-9._~-]+)+\/?$/.test(path) ? new URL(path, 'http://x').pathname : undefined

/** Whether some server would leave the path's own folder at a dot segment. Browsers send none. */
export const goesUp = (path: string): boolean =>
  !isUnambiguous(path) && readingsOf(path).some((reading) => reading.split('/').some((segment) => segment === '.' || segment === '..'))
