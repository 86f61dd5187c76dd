import type { Db } from '#/lib/sql.ts'
import { listEffectiveGroupsNamed } from '#/model/group_members.ts'
import { type RoleSpec, type Rule, rulesOf } from '#/policy/access.ts'
import { deepestNesting } from './group_fields.ts'
import { nameKey } from './name_key.ts'

/**
 * The rules that Roles give a person. Only groups that a Role names are looked for, so that no number of other groups, which someone
 * else may put the person into, hides one that counts.
 */
export const rulesOfUser = async (
  db: Db,
  roles: readonly RoleSpec[],
  { user_id, username }: { user_id: string; username: string },
): Promise<Rule[]> => {
  const keys = new Set(roles.flatMap(({ subjects }) => subjects.groups ?? []).map(nameKey))
  const groups = keys.size ? await listEffectiveGroupsNamed(db, user_id, deepestNesting, [...keys]) : []
  return rulesOf(roles, { username, groups: groups.map(({ name }) => name) })
}
