import { findGroup } from '#/identity/groups.ts'
import { findUser } from '#/identity/users.ts'
import type { Resource } from '#/kinds/kind.ts'
import { Problem } from '#/lib/problem.ts'
import type { Right, Rule } from '#/policy/access.ts'
import type { Guard } from '#/resources/attempt.ts'
import { type ApiCaller, nameOf } from './authenticate.ts'
import type { Escalation } from './escalation.ts'

/** Asked for each resource that is about to change, inside the transaction: the caller's rights, and that nothing is handed out that they do not hold. */
export const guardOf =
  (escalation: Escalation, caller: ApiCaller): Guard =>
  async (db, { phase, verb, kind, namespace, after, id }) => {
    if (phase === 'before') requireRight(caller, { verb, kind, namespace })
    if (kind === 'Application' && phase === 'before' && after) requireOutpost(caller, namespace, after)
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

/**
 * Who names an Outpost of another namespace has it send requests into its network, and guard a host there: that takes the right its own processes
 * come with. Asked at every writing, since what it does there may change without the name.
 */
const requireOutpost = (caller: ApiCaller, own: string, { spec }: Resource): void => {
  const { proxy } = spec as { proxy?: { outpostRef?: { namespace?: string } } }
  const namespace = proxy?.outpostRef?.namespace ?? own
  const right = { verb: 'use', kind: 'Outpost', namespace } as const
  if (namespace === own || caller.may(right)) return
  const detail = `an Outpost of another namespace is named by whoever has the right to ${nameOf(right)}`
  throw new Problem('forbidden', { detail, errors: [{ pointer: '/spec/proxy/outpostRef', detail }] })
}

/** As written, so without the schema's defaults. */
const rulesIn = ({ spec }: Resource): Rule[] => {
  const { rules = [] } = spec as { rules?: { kinds: string[]; namespaces?: string[]; verbs: string[] }[] }
  return rules.map(({ kinds, namespaces = ['*'], verbs }) => ({ kinds, namespaces, verbs }))
}
