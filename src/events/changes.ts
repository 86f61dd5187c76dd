import type { Changes } from './record.ts'

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

/** Fields in which two things differ, by JSON pointer; lists are compared as a whole. Pure. */
export const changesBetween = (before: unknown, after: unknown, pointer = ''): Changes => {
  if (isObject(before) && isObject(after)) {
    const changes: Changes = {}
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)]))
      Object.assign(changes, changesBetween(before[name], after[name], `${pointer}/${escaped(name)}`))
    return changes
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return {}
  return { [pointer]: { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) } }
}
