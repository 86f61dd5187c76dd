/**
 * Groups in groups. A member of a group is a member of every group above it. Nesting has no cycle and a bounded depth; both are checked when
 * it is written, under one lock for all of it, so that reading never has to guard against what two writers made together.
 */
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { listEffectiveGroups } from '#/model/group_members.ts'
import { listGroupsAbove, lockNesting, measureAbove, measureBelow, replaceParents } from '#/model/group_parents.ts'
import { deepestNesting } from './group_fields.ts'

const largestEffective = 5_000

/** Puts a group into these and no others. Throws Problem `invalid` for a cycle or too deep a nesting, naming the parents at fault. */
export const nestGroup = async (db: Db, group_id: string, parent_ids: string[]): Promise<void> => {
  await lockNesting(db)
  const below = parent_ids.length ? (await measureBelow(db, group_id, deepestNesting + 1)).depth : 0
  const errors: { pointer: string; detail: string }[] = []
  for (const [i, parent_id] of parent_ids.entries()) {
    const above = await measureAbove(db, [parent_id], group_id, deepestNesting + 1)
    if (above.meets) errors.push({ pointer: `/parents/${i}`, detail: 'is below this group or is it itself' })
    else if (above.depth + 1 + below > deepestNesting)
      errors.push({ pointer: `/parents/${i}`, detail: `would nest groups deeper than ${deepestNesting}` })
  }
  if (errors.length) throw new Problem('invalid', { errors })
  await replaceParents(db, group_id, parent_ids)
}

/** Names of every group a user is in, by itself or through others, sorted. */
export const effectiveGroups = async (db: Db, user_id: string): Promise<string[]> =>
  (await listEffectiveGroups(db, user_id, deepestNesting, largestEffective)).map(({ name }) => name)

/** Names of every group that has this one's members as its own, sorted. */
export const groupsAbove = async (db: Db, group_id: string): Promise<string[]> =>
  (await listGroupsAbove(db, group_id, deepestNesting, largestEffective)).map(({ name }) => name)
