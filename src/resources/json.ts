export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const escaped = (part: PropertyKey): string => String(part).replaceAll('~', '~0').replaceAll('/', '~1')

/** RFC 6901. */
export const pointerTo = (path: readonly PropertyKey[]): string => path.map((part) => `/${escaped(part)}`).join('')

const deepest = 40

/** What JSON allows and PostgreSQL can't keep, or nobody should send: each with its pointer. Pure. */
export const unstorable = (value: unknown, path: readonly PropertyKey[] = []): { pointer: string; detail: string }[] => {
  const refuse = (detail: string) => [{ pointer: pointerTo(path), detail }]
  if (path.length > deepest) return refuse('is nested too deep')
  if (typeof value === 'string') return value.includes('\0') || !value.isWellFormed() ? refuse('has characters that are none') : []
  if (typeof value === 'number') return Number.isFinite(value) ? [] : refuse('is no number')
  if (Array.isArray(value)) return value.flatMap((item, index) => unstorable(item, [...path, index]))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, item]) =>
    name === '__proto__' || name.includes('\0') || !name.isWellFormed()
      ? [{ pointer: pointerTo([...path, name]), detail: 'is no name of a field' }]
      : unstorable(item, [...path, name]),
  )
}
