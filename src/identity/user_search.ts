/**
 * Search among ten million users. Whoever begins with what was typed comes first: by username, then by address, name, last name and domain of
 * the address. An index
 * in that order answers each of these, so that a page costs what it holds, however many users there are and however many match. After them
 * come all others who have the text anywhere (user_part_search.ts), which costs more with every user there is.
 *
 * So where there are many users, a page with someone on it is answered before those others are looked for; its `next` leads to them. Looking
 * at once made the search for one exact username among ten million take a hundred times as long as among ten thousand, nearly always to
 * find nobody else.
 *
 * A user who begins so in several ways is shown once, at the first of them.
 */
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { estimateUsers, findBeginnings, findUserRows, type PartSearch, type UserBeginning, type UserRow } from '#/model/users.ts'
import { emailKey, nameKey } from './name_key.ts'
import { likeBeginning, type PartOfText, rangeOf } from './search_text.ts'
import { type PartRequest, searchParts } from './user_part_search.ts'

/** Of so few the rest is looked for at once. */
const usualFewUsers = 50_000

/** Rows of an index read in one more statement, when those before were shown already at another place. */
const usualFurther = [1_000, 4_000]

/** As the index of names has them: cut. */
const longestBeginning = 100

type Column = keyof typeof findBeginnings

/** Where a page ends: at this place, behind this key, and of one key behind this id. */
export interface Position {
  place: Column | 'part' | 'walk'
  key: string
  user_id: string
}

const firstId = '00000000-0000-0000-0000-000000000000'

export interface SearchRequest extends Pick<PartRequest, 'trigramsMs' | 'walks'> {
  after: Position | undefined
  limit: number
  fewUsers?: number
  further?: number[]
}

export interface Found {
  rows: UserRow[]
  /** Undefined: these were the last. A page may be short, or even empty, and still have a next one. */
  next: Position | undefined
}

/** Throws Problem `invalid` for a place that there is not. */
export const searchUsers = async (db: Db, q: string, part: PartOfText, request: SearchRequest): Promise<Found> => {
  const beginnings = beginningsOf(q, part.folded)
  const { limit, after = { place: 'username_key', key: '', user_id: firstId }, fewUsers = usualFewUsers } = request
  const isInPart = after.place === 'part' || after.place === 'walk'
  const first = isInPart ? beginnings.length : beginnings.findIndex(({ column }) => column === after.place)
  if (first < 0) throw new Problem('invalid', { errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }] })

  const seen = await walkBeginnings(db, beginnings, first, after, request)
  const begun = await inOrder(db, seen.found.slice(0, limit))
  if (seen.found.length > limit) return { rows: begun, next: seen.found[limit - 1] }
  if (seen.stoppedAt) return { rows: begun, next: seen.stoppedAt }
  const start = isInPart ? after : ({ place: 'part', key: '', user_id: firstId } as const)
  if (begun.length > 0 && (await estimateUsers(db)) > fewUsers) return { rows: begun, next: start }

  const room = limit - begun.length
  const { rows, goOnAfter, isWalk } = await searchParts(db, partSearchOf(part, beginnings), {
    ...request,
    after: start.user_id,
    limit: room + 1,
    isWalk: start.place === 'walk',
  })
  const shown = rows.slice(0, room)
  const user_id = rows.length > room ? (shown.at(-1)?.user_id ?? start.user_id) : goOnAfter
  return { rows: [...begun, ...shown], next: user_id === undefined ? undefined : { place: isWalk ? 'walk' : 'part', key: '', user_id } }
}

interface Beginning {
  column: Column
  value: string
}

/** In the order in which they are shown. */
const beginningsOf = (q: string, folded: string, domain = emailKey(q).replace(/^@/, '')): Beginning[] => [
  { column: 'username_key', value: nameKey(q) },
  { column: 'email_key', value: emailKey(q) },
  ...(folded.length > longestBeginning
    ? []
    : ([
        { column: 'full_name', value: folded },
        { column: 'last_name', value: folded },
      ] as const)),
  ...(domain.length > longestBeginning || domain === '' ? [] : [{ column: 'domain', value: domain } as const]),
]

const partSearchOf = ({ pattern }: PartOfText, beginnings: Beginning[]): PartSearch => {
  const like = (wanted: Column) => {
    const beginning = beginnings.find(({ column }) => column === wanted)
    return beginning ? likeBeginning(beginning.value) : null
  }
  return {
    pattern,
    username: like('username_key'),
    email: like('email_key'),
    full_name: like('full_name'),
    last_name: like('last_name'),
    domain: like('domain'),
  }
}

/** One more than the limit, if there are so many. `stoppedAt`: there may be more, but too many rows were in vain. */
const walkBeginnings = async (
  db: Db,
  beginnings: Beginning[],
  first: number,
  after: Position,
  { limit, further = usualFurther }: SearchRequest,
): Promise<{ found: Position[]; stoppedAt: Position | undefined }> => {
  const found: Position[] = []
  for (const [index, { column, value }] of beginnings.entries()) {
    if (index < first) continue
    const isShownBefore = (row: UserBeginning) =>
      beginnings.slice(0, index).some((earlier) => row[earlier.column]?.startsWith(earlier.value))
    let at: Position = index === first ? after : { place: column, key: '', user_id: firstId }
    let isThrough = false
    for (const steps of [limit + 1 - found.length, ...further]) {
      const rows = await findBeginnings[column](db, { ...rangeOf(value), after: at }, steps)
      for (const row of rows) {
        at = { place: column, key: row[column] ?? '', user_id: row.user_id }
        if (!isShownBefore(row)) found.push(at)
      }
      if (found.length > limit) return { found, stoppedAt: undefined }
      isThrough = rows.length < steps
      if (isThrough) break
    }
    if (!isThrough) return { found, stoppedAt: at }
  }
  return { found, stoppedAt: undefined }
}

const inOrder = async (db: Db, positions: Position[]): Promise<UserRow[]> => {
  if (!positions.length) return []
  const rows = new Map(
    (
      await findUserRows(
        db,
        positions.map(({ user_id }) => user_id),
      )
    ).map((row) => [row.user_id, row]),
  )
  return positions.flatMap(({ user_id }) => rows.get(user_id) ?? [])
}
