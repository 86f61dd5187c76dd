/**
 * Search among ten million users, in the order of their ids. There are two ways, and each is bad where the other is good: trigrams find all
 * that match, however many, before the first can be shown; walking in order from the cursor shows the first ones at once, but passes
 * everyone when few match. PostgreSQL would choose by the same estimate, but on the belief that those who match are spread evenly, and
 * then walks to the end of the table when they all came last. So we choose, and the walk has an end: a page may then be short, or even
 * empty, and still have a next one.
 */
import type { Db } from '#/lib/sql.ts'
import { estimateSearch, searchUserRows, type UserRow, walkUserRows } from '#/model/users.ts'

/** A user found by trigrams costs about three times a user passed by (random reads against reading on). */
const costOfFound = 3

/** Users looked at in one statement, more each time; together they bound what one request costs. */
const usualWalks = [2_000, 8_000, 32_000, 128_000]

export interface Found {
  rows: UserRow[]
  /** More may follow after this id, although `rows` are fewer than were asked for. */
  goOnAfter: string | undefined
}

export const searchUsers = async (
  db: Db,
  { pattern, after, limit, walks = usualWalks }: { pattern: string; after: string | null; limit: number; walks?: number[] },
): Promise<Found> => {
  const { users, found } = await estimateSearch(db, pattern)
  const passedUntilFull = (limit * users) / Math.max(1, found)
  if (found * costOfFound <= passedUntilFull) return { rows: await searchUserRows(db, pattern, after, limit), goOnAfter: undefined }
  const rows: UserRow[] = []
  let at = after
  for (const steps of walks) {
    const walked = await walkUserRows(db, { pattern, after: at, steps, limit: limit - rows.length })
    for (const row of walked) if (row.user_id !== null) rows.push(row)
    at = walked[0]?.walked_to ?? null
    if (at === null || rows.length >= limit) return { rows, goOnAfter: undefined }
  }
  return { rows, goOnAfter: at ?? undefined }
}
