/**
 * Search by any part of a name, the same in every locale of the database. PostgreSQL takes trigrams only of what its locale calls letters and
 * digits, which in the locale C is ASCII alone. So both the stored text and the query are folded: case and accents go, and what is left
 * beyond ASCII is spelled in hexadecimal. A folded query is found in a folded text exactly where the one was in the other.
 */
import { Problem } from '#/lib/problem.ts'

const fold = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^\0-\x7f]/gu, (character) => `u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`)

/** Parts stand in lines of their own, so that no query matches across two of them. */
export const searchText = (...parts: (string | null)[]): string =>
  parts
    .filter((part) => part !== null)
    .map(fold)
    .join('\n')

/** Three letters or digits in a row are in it, so the trigram index answers. */
export interface PartOfText {
  kind: 'part'
  /** In the form of search texts. */
  folded: string
  /** For `like`: anywhere in a search text. */
  pattern: string
}

export type Search =
  | PartOfText
  /** Too short for trigrams: names beginning with it. */
  | { kind: 'beginning' }
  /** Nothing can match. */
  | { kind: 'nothing' }

const longestSearch = 255

/** Taken literally: `%`, `_` and `\` mean themselves. Throws Problem `invalid` for what is longer than any name. */
export const parseSearch = (q: string): Search => {
  if (q.length > longestSearch)
    throw new Problem('invalid', { errors: [{ pointer: '/q', detail: `has more than ${longestSearch} characters` }] })
  const folded = /\p{Cc}/u.test(q) ? '' : fold(q)
  if (folded === '') return { kind: 'nothing' }
  if (!/[a-z0-9]{3}/.test(folded)) return { kind: 'beginning' }
  return { kind: 'part', folded, pattern: `%${likeBeginning(folded)}` }
}

/** Pattern for `like` of whatever begins with this text. */
export const likeBeginning = (text: string): string => `${text.replace(/[\\%_]/g, (character) => `\\${character}`)}%`

/** Every text that begins with `key` is >= from and < to, in the order of bytes (UTF-8). */
export const rangeOf = (key: string): { from: string; to: string } => ({ from: key, to: `${key}\u{10ffff}` })
