import { createGroup, deleteGroup, findGroupByResource, type Group, listGroupResources, replaceGroup } from '#/identity/groups.ts'
import { findUserByLogin } from '#/identity/users.ts'
import type { GroupSpec } from '#/kinds/group.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import { annotationsOf, inSpec, refusePausedCreation, renderPerson, seenIn } from './people.ts'
import type { ResourceStore, Stored } from './store.ts'

/** Members are not shown here: they may be millions, and each user's own resource names their groups. */
const stored = (group: Group): Stored => ({
  id: group.id,
  resource: renderPerson('Group', group, { name: group.name, parents: group.parents, attributes: group.attributes }),
})

export const groups: ResourceStore = {
  lock: async () => {},
  find: async (db, _kind, namespace, name) => {
    const group = await findGroupByResource(db, namespace, name)
    return group && stored(group)
  },
  list: async (db, _kind, request) => {
    const { items, next } = await listGroupResources(db, request)
    return { items: items.map(stored), next }
  },
  write: async (db, desired, existing, { change, now, joining }) => {
    const { namespace, name, labels } = desired
    const annotations = annotationsOf(desired)
    const { paused, ...fields } = desired.parsed as GroupSpec
    const groupName = fields.name ?? name
    const members = fields.members && (await withoutJoining(db, fields.members, joining?.get(groupName)))
    const input = { ...fields, name: groupName, ...(members ? { members } : {}) }
    if (!existing) {
      if (paused) refusePausedCreation()
      return stored(await inSpec(createGroup(db, input, { ...change, metadata: { namespace, name, labels, annotations } }, now)))
    }
    const current = paused ? await findGroupByResource(db, namespace, name) : undefined
    if (paused && !current) throw new Problem('not_found')
    const kept = current && { name: current.name, attributes: current.attributes }
    return stored(
      await inSpec(
        replaceGroup(db, existing.id ?? '', kept ?? input, { ...change, labels, annotations, resourceVersion: seenIn(existing) }, now),
      ),
    )
  },
  remove: (db, existing, { change, now }) => deleteGroup(db, existing.id ?? '', { ...change, resourceVersion: seenIn(existing) }, now),
}

/** A group and a user of one batch may name each other: who does not exist yet joins with their own document. */
const withoutJoining = async (db: Db, members: string[], joining: ReadonlySet<string> | undefined): Promise<string[]> => {
  if (!joining) return members
  const kept: string[] = []
  for (const member of members) if (!joining.has(member) || (await findUserByLogin(db, member))) kept.push(member)
  return kept
}
