/**
 * What happened to one person, the newest first, through every name that they had. Events name people and not their ids, and a name may have
 * been another's before: so it ends where the person got the name, and goes on under the one before.
 */
import type { Db } from '#/lib/sql.ts'
import { type EventRow, listEventsOfTarget } from '#/model/events.ts'

const pageSize = 200
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

export async function* eventsOfUser(
  db: Db,
  { username, since }: { username: string /** When they were made. */; since: Date },
  most: number,
): AsyncGenerator<EventRow> {
  let name = username
  let before: { time: Date; event_id: string } | undefined
  /** When they took the name after this one. */
  let renamedAt: Date | undefined
  let left = most
  while (left > 0) {
    const rows = await listEventsOfTarget(db, { kind: 'User', name, since, before }, Math.min(pageSize, left))
    let isRenamed = false
    for (const row of rows) {
      if (isAnothersEnd(row, renamedAt)) return
      yield row
      left -= 1
      before = row
      if (row.action === 'user.created') return
      if (row.action !== 'user.renamed') continue
      const earlier = row.data?.before
      if (typeof earlier !== 'string') return
      name = earlier
      // What the renaming itself wrote under the name before is of the same time.
      before = { time: row.time, event_id: lastId }
      renamedAt = row.time
      isRenamed = true
      break
    }
    if (!isRenamed && rows.length < pageSize) return
  }
}

/** Somebody else was deleted, or took another name: what is older is theirs. */
const isAnothersEnd = ({ action, changes, time }: EventRow, renamedAt: Date | undefined): boolean =>
  action === 'user.deleted' ||
  (action === 'user.updated' && changes !== null && '/username' in changes && time.getTime() !== renamedAt?.getTime())
