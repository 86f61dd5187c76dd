import { createUser, deleteUser, findUserByResource, listUserResources, replaceUser, type User } from '#/identity/users.ts'
import type { UserSpec } from '#/kinds/user.ts'
import { Problem } from '#/lib/problem.ts'
import { annotationsOf, inSpec, refusePausedCreation, renderPerson, seenIn } from './people.ts'
import type { ResourceStore, Stored } from './store.ts'

const stored = (user: User): Stored => ({
  id: user.id,
  resource: renderPerson('User', user, {
    username: user.username,
    ...(user.email === null ? {} : { email: user.email, emailVerified: user.emailVerified }),
    ...(user.name === null ? {} : { name: user.name }),
    active: user.active,
    ...(user.serviceAccount ? { serviceAccount: true } : {}),
    ...(user.locale === null ? {} : { locale: user.locale }),
    groups: user.groups,
    attributes: user.attributes,
  }),
})

export const users: ResourceStore = {
  lock: async () => {},
  find: async (db, _kind, namespace, name) => {
    const user = await findUserByResource(db, namespace, name)
    return user && stored(user)
  },
  list: async (db, _kind, request) => {
    const { items, next } = await listUserResources(db, request)
    return { items: items.map(stored), next }
  },
  write: async (db, desired, existing, { change, now }) => {
    const { namespace, name, labels } = desired
    const annotations = annotationsOf(desired)
    const { paused, ...fields } = desired.parsed as UserSpec
    const input = { ...fields, username: fields.username ?? name }
    if (!existing) {
      if (paused) refusePausedCreation()
      return stored(await inSpec(createUser(db, input, { ...change, metadata: { namespace, name, labels, annotations } }, now)))
    }
    const current = paused ? await findUserByResource(db, namespace, name) : undefined
    if (paused && !current) throw new Problem('not_found')
    const kept = current && fieldsOf(current)
    return stored(
      await inSpec(
        replaceUser(db, existing.id ?? '', kept ?? input, { ...change, labels, annotations, resourceVersion: seenIn(existing) }, now),
      ),
    )
  },
  remove: (db, existing, { change, now }) => deleteUser(db, existing.id ?? '', { ...change, resourceVersion: seenIn(existing) }, now),
}

const fieldsOf = ({ username, email, emailVerified, name, active, locale, serviceAccount, groups, attributes }: User) => ({
  username,
  email,
  emailVerified,
  name,
  active,
  locale,
  serviceAccount,
  groups,
  attributes,
})
