/**
 * Those who have a text anywhere in their names, among ten million users, in the order of their ids. There are two ways, and each is bad
 * where the other is good: trigrams find all that match, however many, before the first can be shown; walking in order from the cursor shows
 * the first ones at once, but passes everyone when few match. PostgreSQL would choose by the same estimate, but on the belief that those who
 * match are spread evenly, and then walks to the end of the table when they all came last. So we choose.
 *
 * Both have an end. A text whose trigrams are all frequent takes seconds even when nobody has it, and no estimate foresees that: trigrams get
 * a time, and what is not found in it is walked for. The walk gets a number of users: a page may be short, or even empty, and still have a
 * next one.
 */
import { type Db, withinTime } from '#/lib/sql.ts'
import { estimateSearch, type PartSearch, searchUserRows, type UserRow, walkUserRows } from '#/model/users.ts'

/** A user found by trigrams costs about three times a user passed by (random reads against reading on). */
const costOfFound = 3

/** What trigrams may take. */
const usualTrigramsMs = 300

/** Users looked at in one statement, more each time; together they bound what one request costs. */
const usualWalks = [2_000, 8_000, 32_000, 64_000]

export interface PartRequest {
  after: string | null
  limit: number
  /** Trigrams were given up on an earlier page. */
  isWalk?: boolean
  trigramsMs?: number
  walks?: number[]
}

export interface Parts {
  rows: UserRow[]
  /** More may follow after this id, although `rows` are fewer than were asked for. */
  goOnAfter: string | undefined
  isWalk: boolean
}

export const searchParts = async (
  db: Db,
  search: PartSearch,
  { after, limit, isWalk = false, trigramsMs = usualTrigramsMs, walks = usualWalks }: PartRequest,
): Promise<Parts> => {
  if (!isWalk && (await isRare(db, search.pattern, limit))) {
    const rows = await withinTime(db, trigramsMs, (tx) => searchUserRows(tx, search, after, limit))
    if (rows) return { rows, goOnAfter: undefined, isWalk }
    isWalk = true
  }
  const rows: UserRow[] = []
  let at = after
  for (const steps of walks) {
    const walked = await walkUserRows(db, search, { after: at, steps, limit: limit - rows.length })
    for (const row of walked) if (row.user_id !== null) rows.push(row)
    at = walked[0]?.walked_to ?? null
    if (at === null || rows.length >= limit) return { rows, goOnAfter: undefined, isWalk }
  }
  return { rows, goOnAfter: at ?? undefined, isWalk }
}

/** Whether finding all of them costs less than passing users until a page is full. */
const isRare = async (db: Db, pattern: string, limit: number): Promise<boolean> => {
  const { users, found } = await estimateSearch(db, pattern)
  return found * costOfFound <= (limit * users) / Math.max(1, found)
}
