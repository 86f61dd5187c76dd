import { findGroup } from '#/identity/groups.ts'
import { findUser } from '#/identity/users.ts'
import type { Resource } from '#/kinds/kind.ts'
import type { Right, Rule } from '#/policy/access.ts'
import type { Guard } from '#/resources/attempt.ts'
import type { ApiCaller } from './authenticate.ts'
import type { Escalation } from './escalation.ts'

/** Asked for each resource that is about to change, inside the transaction: the caller's rights, and that nothing is handed out that they do not hold. */
export const guardOf =
  (escalation: Escalation, caller: ApiCaller): Guard =>
  async (db, { phase, verb, kind, namespace, after, id }) => {
    if (phase === 'before') requireRight(caller, { verb, kind, namespace })
    if (kind === 'Role' && after) escalation.requireHeld(caller, rulesIn(after), `whoever has Role ${after.metadata.name}`)
    if (kind === 'User' && id !== undefined) {
      const user = await findUser(db, id)
      if (user) await escalation.requireAboveUser(db, caller, user)
    }
    if (kind === 'Group' && id !== undefined) {
      const group = await findGroup(db, id, 0)
      if (group) await escalation.requireAboveGroup(db, caller, group)
    }
  }

/** Whoever has no right at all on such resources is not told by the name of the right they lack whether this one is there. */
const requireRight = (caller: ApiCaller, right: Right) => {
  const mayKnow = (['get', 'list', 'create', 'update', 'delete'] as const).some((verb) => caller.may({ ...right, verb }))
  caller.require(mayKnow || right.verb === 'delete' ? right : { ...right, verb: 'create' })
}

/** As written, so without the schema's defaults. */
const rulesIn = ({ spec }: Resource): Rule[] => {
  const { rules = [] } = spec as { rules?: { kinds: string[]; namespaces?: string[]; verbs: string[] }[] }
  return rules.map(({ kinds, namespaces = ['*'], verbs }) => ({ kinds, namespaces, verbs }))
}
