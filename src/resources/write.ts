/** One resource is written or removed: lock, look, ask, act, ask again. Everything that changes resources comes through here. */
import { isAsSeen, type SeenVersion } from '#/identity/entry.ts'
import type { KindName } from '#/kinds/index.ts'
import type { Kind, Resource } from '#/kinds/kind.ts'
import { Problem } from '#/lib/problem.ts'
import type { Db } from '#/lib/sql.ts'
import type { Attempt, ResourceChange, ResourceDeps } from './attempt.ts'
import type { Desired } from './check.ts'
import { storeOf } from './stores/index.ts'
import type { StoreContext } from './stores/store.ts'

export type WriteResult = 'created' | 'configured' | 'unchanged'

interface Writing extends ResourceChange {
  /** `new`: it must not exist. `existing`: it must. */
  expect: 'any' | 'new' | 'existing'
  joining?: StoreContext['joining']
}

/** Inside the caller's transaction. Throws Problem `conflict`, `not_found`, `precondition_failed`, `invalid`, and whatever the guard throws. */
export const writeDesired = async (
  db: Db,
  { rootSecret }: Pick<ResourceDeps, 'rootSecret'>,
  desired: Desired,
  { expect, guard, joining, ...change }: Writing,
  now: Date,
): Promise<{ result: WriteResult; resource: Resource }> => {
  const { kind, namespace, name } = desired
  const store = storeOf(kind)
  await store.lock(db)
  const stored = await store.find(db, kind, namespace, name)
  if (stored && expect === 'new') throw new Problem('conflict', { detail: `${kind.kind} ${namespace}/${name} exists already` })
  if (!stored && expect === 'existing') throw new Problem('not_found', { detail: `there is no ${kind.kind} ${namespace}/${name}` })
  const attempt = { verb: stored ? 'update' : 'create', kind: kind.kind, namespace, name, before: stored?.resource } as const
  const proposed = { ...(stored?.resource ?? unborn(desired)), spec: desired.spec }
  await guard?.(db, { ...attempt, phase: 'before', after: proposed, id: stored?.id } satisfies Attempt)
  // Only now: who may not change it is not told whether it is there.
  checkVersion(desired.resourceVersion, stored?.resource)
  const after = await store.write(db, desired, stored, { rootSecret, change, now, joining })
  const isUnchanged = stored?.resource.metadata.resourceVersion === after.resource.metadata.resourceVersion
  if (!isUnchanged) await guard?.(db, { ...attempt, phase: 'after', after: after.resource, id: after.id } satisfies Attempt)
  return { result: !stored ? 'created' : isUnchanged ? 'unchanged' : 'configured', resource: after.resource }
}

/** Inside the caller's transaction. Throws Problem `not_found`, `precondition_failed`, `conflict` when nobody would get in without it, and whatever the guard throws. */
export const removeResource = async (
  db: Db,
  { rootSecret, settings }: Pick<ResourceDeps, 'rootSecret' | 'settings'>,
  {
    kind,
    namespace,
    name,
    resourceVersion,
  }: { kind: Kind<KindName>; namespace: string; name: string; resourceVersion?: SeenVersion | undefined },
  { guard, ...change }: ResourceChange,
  now: Date,
): Promise<void> => {
  const store = storeOf(kind)
  await store.lock(db)
  const stored = await store.find(db, kind, namespace, name)
  if (!stored) throw new Problem('not_found', { detail: `there is no ${kind.kind} ${namespace}/${name}` })
  const attempt = { verb: 'delete', kind: kind.kind, namespace, name, before: stored.resource, after: undefined, id: stored.id } as const
  await guard?.(db, { ...attempt, phase: 'before' })
  checkVersion(resourceVersion, stored.resource)
  await store.remove(db, stored, { rootSecret, baseUrl: settings?.BASE_URL, change, now })
  await guard?.(db, { ...attempt, phase: 'after' })
}

const checkVersion = (seen: SeenVersion | undefined, current: Resource | undefined): void => {
  if (seen !== undefined && !(current && isAsSeen(seen, current.metadata.resourceVersion)))
    throw new Problem('precondition_failed', {
      errors: [{ pointer: '/metadata/resourceVersion', detail: current ? 'is not the present one' : 'names a resource that is gone' }],
    })
}

const unborn = ({ kind, namespace, name, labels, annotations, spec }: Desired): Resource => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: kind.kind,
  metadata: { name, namespace, labels, annotations, generation: 1, resourceVersion: '', creationTimestamp: '' },
  spec,
  status: {},
})
