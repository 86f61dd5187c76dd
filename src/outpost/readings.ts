/**
 * A proxy sends a request on by its own reading of the path: it may decode it, take two slashes for one, resolve what goes up. Where several
 * applications share a host, each such reading must lead to the same one, or a request would be judged by the rule of one and answered by another.
 */
import type { GuardedApplication } from './core.ts'
import type { Guard } from './guard.ts'

/** The path as it is first. Undefined: it can't be decoded. */
export const readingsOf = (path: string): readonly string[] | undefined => {
  if (!/%|\/\/|\/\.|\\|;/.test(path)) return [path]
  const decoded = decode(path)
  if (decoded === undefined) return undefined
  let readings = [path, decoded]
  for (const read of [(text: string) => text.replaceAll('\\', '/'), withoutParameters, merged, resolved, merged])
    readings = [...new Set([...readings, ...readings.map(read)])]
  return readings
}

const decode = (path: string): string | undefined => {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

const withoutParameters = (path: string): string => path.replace(/;[^/]*/g, '')

const merged = (path: string): string => path.replace(/\/{2,}/g, '/')

const resolved = (path: string): string => {
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
    if ((segment === '..' || segment === '.') && index === segments.length - 1) kept.push('')
  }
  return `/${kept.join('/')}`
}

/** Undefined where none stands there, and where it depends on the reading. */
export const findByEveryReading = (guard: Guard, host: string, path: string): GuardedApplication | undefined => {
  const readings = readingsOf(path)
  const found = guard.find(host, path)
  return readings?.every((reading) => guard.find(host, reading) === found) ? found : undefined
}
