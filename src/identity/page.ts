/** Pages of a list. A cursor is opaque to whoever sends it back: the keys of the last one seen, as base64url of JSON. */
import { Problem } from '#/lib/problem.ts'
import { isUuid } from '#/lib/uuid.ts'

export interface PageRequest {
  cursor?: string | undefined
  limit?: number | undefined
}

export interface Page<Item> {
  items: Item[]
  /** The cursor of the next page; null on the last one. */
  next: string | null
}

export const largestPage = 500
const usualPage = 50
const cursorLength = 2_000

/** A limit out of bounds is refused rather than corrected. */
export const pageLimit = (limit: number = usualPage): number => {
  if (!Number.isInteger(limit) || limit < 1 || limit > largestPage)
    throw new Problem('invalid', { errors: [{ pointer: '/limit', detail: `wants a whole number from 1 to ${largestPage}` }] })
  return limit
}

const kinds = {
  uuid: isUuid,
  text: (value: string) => !value.includes('\0'),
  time: (value: string) => /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) && !Number.isNaN(Date.parse(value)),
} as const

/** Undefined without a cursor; one that is not ours is refused. */
export const parseCursor = (cursor: string | undefined, keys: (keyof typeof kinds)[]): string[] | undefined => {
  if (cursor === undefined || cursor === '') return undefined
  const values = cursor.length <= cursorLength ? decode(cursor) : undefined
  if (
    !Array.isArray(values) ||
    values.length !== keys.length ||
    !keys.every((key, i) => typeof values[i] === 'string' && kinds[key](values[i]))
  )
    throw new Problem('invalid', { errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }] })
  return values as string[]
}

const decode = (cursor: string): unknown => {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}

export const renderCursor = (keys: string[]): string => Buffer.from(JSON.stringify(keys)).toString('base64url')

/** A page out of rows of which one more than `size` was asked for. */
export const pageOf = <Row, Item>(rows: Row[], size: number, keysOf: (row: Row) => string[], render: (row: Row) => Item): Page<Item> => {
  const shown = rows.slice(0, size)
  const last = shown.at(-1)
  return { items: shown.map(render), next: rows.length > size && last ? renderCursor(keysOf(last)) : null }
}
