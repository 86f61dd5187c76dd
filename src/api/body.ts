import { Problem } from '#/lib/problem.ts'
import { pointerOf } from './field_errors.ts'

const depthLimit = 64

/** Throws `bad_request` for what is no JSON. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Problem('bad_request', { detail: 'the body is not JSON', cause })
  }
}

/**
 * Refuses by name what no field of ours can hold: NUL (PostgreSQL stores none), halves of surrogate pairs (no UTF-8 for them),
 * keys that reach for an object's prototype, and nesting that no document of ours has.
 */
export const checkText = (value: unknown): void => {
  const errors: { pointer: string; detail: string }[] = []
  const walk = (part: unknown, path: (string | number)[]): void => {
    if (errors.length >= 20) return
    if (typeof part === 'string') {
      const detail = textFault(part)
      if (detail) errors.push({ pointer: pointerOf(path), detail })
      return
    }
    if (typeof part !== 'object' || part === null) return
    if (path.length >= depthLimit) {
      errors.push({ pointer: pointerOf(path), detail: `is nested deeper than ${depthLimit} levels` })
      return
    }
    if (Array.isArray(part)) {
      for (let i = 0; i < part.length; i++) walk(part[i], [...path, i])
      return
    }
    for (const key of Object.keys(part)) {
      const detail = key === '__proto__' ? 'is not a name for a field' : textFault(key)
      if (detail) errors.push({ pointer: pointerOf([...path, key.toWellFormed()]), detail })
      else walk((part as Record<string, unknown>)[key], [...path, key])
    }
  }
  walk(value, [])
  if (errors.length) throw new Problem('invalid', { errors })
}

const textFault = (text: string): string | undefined => {
  if (text.includes('\0')) return 'has a NUL character'
  if (!text.isWellFormed()) return 'is not well-formed Unicode'
  return undefined
}
