import { Problem } from '#/lib/problem.ts'
import { schemes } from './schemes/index.ts'
import type { StoredHash } from './schemes/scheme.ts'

const longestHash = 1_024

/** Undefined for what no scheme knows, or knows and does not take. */
export const findStoredHash = (text: string): StoredHash | undefined => {
  const found = look(text)
  return found && !('refused' in found) ? found : undefined
}

/** For import: throws Problem `invalid` that says why a hash is not taken. The message never has the hash. */
export const parseStoredHash = (text: string, pointer = '/passwordHash'): StoredHash => {
  const found = look(text)
  if (!found) throw new Problem('invalid', { errors: [{ pointer, detail: 'is no password hash of a known form' }] })
  if ('refused' in found) throw new Problem('invalid', { errors: [{ pointer, detail: found.refused }] })
  return found
}

const look = (text: string) => {
  if (typeof text !== 'string' || text.length > longestHash) return undefined
  for (const scheme of Object.values(schemes)) {
    const found = scheme.parse(text)
    if (found) return found
  }
  return undefined
}
