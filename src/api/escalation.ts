/**
 * Nobody hands out more than they hold. Besides tokens and Roles there is a way around: to change someone who may do more (their
 * password, their address, their groups), or to become one of those a Role binds. So whoever changes a user or a group must hold
 * all that it may do, before the change and after it; the second is asked inside the transaction, and a refusal takes it back.
 */
import { deepestNesting } from '#/identity/group_fields.ts'
import { rulesOfUser } from '#/identity/rules.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { listNamesAbove } from '#/model/group_parents.ts'
import { findExcess, type Rule, rulesOf } from '#/policy/access.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import { type ApiCaller, nameOf, openRoles } from './authenticate.ts'

export const openEscalation = (snapshot: Snapshot) => {
  const roles = openRoles(snapshot)

  const requireHeld = (caller: ApiCaller, rules: readonly Rule[], who: string) => {
    const excess = findExcess(caller.grants, rules)
    if (excess) throw new Problem('forbidden', { detail: `${who} may ${nameOf(excess)}, and you may not` })
  }

  return {
    /** Throws `forbidden` when these rules hold something that the caller does not. */
    requireHeld,
    /** The same of a user as the database has them now. */
    requireAboveUser: async (db: Db, caller: ApiCaller, user: { id: string; username: string }) =>
      requireHeld(caller, await rulesOfUser(db, roles(), { user_id: user.id, username: user.username }), user.username),
    /** The same of whoever is in this group. */
    requireAboveGroup: async (db: Db, caller: ApiCaller, group: { id: string; name: string }) => {
      const names = await listNamesAbove(db, group.id, deepestNesting)
      requireHeld(caller, rulesOf(roles(), { username: '', groups: names.map(({ name }) => name) }), `a member of ${group.name}`)
    },
  }
}

export type Escalation = ReturnType<typeof openEscalation>
