/** Single resources for REST. Each function is one transaction, throws a Problem, and answers the resource as it is afterwards. */
import { isAsSeen, type SeenVersion } from '#/identity/entry.ts'
import { mergePatch } from '#/identity/merge_patch.ts'
import type { KindName } from '#/kinds/index.ts'
import { apiVersion, type Kind, type Resource } from '#/kinds/kind.ts'
import { type FieldError, Problem } from '#/lib/problem.ts'
import type { ResourceChange, ResourceDeps } from './attempt.ts'
import { checkResource, type Desired } from './check.ts'
import { isObject } from './json.ts'
import { findOne } from './read.ts'
import { removeResource, writeDesired } from './write.ts'

/** What the address says. */
export interface Address {
  kind: Kind<KindName>
  namespace: string
  name: string
}

export interface SingleChange extends ResourceChange {
  /** What If-Match and If-None-Match say; Problem `precondition_failed` when there is another by now. */
  resourceVersion?: SeenVersion | undefined
}

/** `body` may leave out apiVersion, kind and namespace. Problem `conflict` when it exists. */
export const createResource = async (
  deps: ResourceDeps,
  { kind, namespace }: Omit<Address, 'name'>,
  body: unknown,
  change: ResourceChange,
  now: Date,
): Promise<Resource> => {
  const desired = parseBody(body, { kind, namespace })
  const { resource } = await deps.db.transaction((tx) => writeDesired(tx, deps, desired, { ...change, expect: 'new' }, now))
  await deps.snapshot?.refresh()
  return resource
}

/** What `body` leaves out is gone. Problem `not_found` when it does not exist. */
export const replaceResource = async (
  deps: ResourceDeps,
  address: Address,
  body: unknown,
  { resourceVersion, ...change }: SingleChange,
  now: Date,
): Promise<Resource> => {
  const desired = parseBody(body, address)
  const { resource } = await deps.db.transaction((tx) =>
    writeDesired(
      tx,
      deps,
      { ...desired, resourceVersion: resourceVersion ?? desired.resourceVersion },
      { ...change, expect: 'existing' },
      now,
    ),
  )
  await deps.snapshot?.refresh()
  return resource
}

const attempts = 5

/** JSON merge patch (RFC 7396) of labels, annotations and spec. When someone else was faster it is tried again on what is there then. */
export const patchResource = async (
  deps: ResourceDeps,
  address: Address,
  patch: unknown,
  { resourceVersion, ...change }: SingleChange,
  now: Date,
): Promise<Resource> => {
  if (!isObject(patch)) throw new Problem('invalid', { errors: [{ pointer: '', detail: 'wants an object (RFC 7396)' }] })
  for (let attempt = 1; ; attempt++) {
    const current = await findOne(deps.db, address)
    if (!current) throw new Problem('not_found', { detail: `there is no ${address.kind.kind} ${address.namespace}/${address.name}` })
    const { status: _status, ...writable } = current
    const version = current.metadata.resourceVersion
    const desired = parseBody(mergePatch(writable, patch), address)
    const named = isObject(patch.metadata) ? patch.metadata.resourceVersion : undefined
    const seen = resourceVersion ?? (named === undefined ? undefined : desired.resourceVersion)
    try {
      const { resource } = await deps.db.transaction((tx) =>
        writeDesired(
          tx,
          deps,
          { ...desired, resourceVersion: (found) => found === version && isAsSeen(seen, found) },
          { ...change, expect: 'existing' },
          now,
        ),
      )
      await deps.snapshot?.refresh()
      return resource
    } catch (error) {
      const isRace = error instanceof Problem && error.code === 'precondition_failed' && isAsSeen(seen, version)
      if (!isRace || attempt === attempts) throw error
    }
  }
}

export const deleteResource = async (
  deps: ResourceDeps,
  address: Address,
  { resourceVersion, ...change }: SingleChange,
  now: Date,
): Promise<void> => {
  await deps.db.transaction((tx) => removeResource(tx, deps, { ...address, resourceVersion }, change, now))
  await deps.snapshot?.refresh()
}

/** A body says the same as its address, or leaves it out. */
const parseBody = (body: unknown, { kind, namespace, name }: { kind: Kind<KindName>; namespace: string; name?: string }): Desired => {
  if (!isObject(body)) throw new Problem('invalid', { errors: [{ pointer: '', detail: 'wants a resource as a JSON object' }] })
  const metadata = isObject(body.metadata) ? body.metadata : body.metadata === undefined ? {} : undefined
  const full = {
    ...body,
    apiVersion: body.apiVersion ?? apiVersion,
    kind: body.kind ?? kind.kind,
    metadata: metadata
      ? { ...metadata, namespace: metadata.namespace ?? namespace, ...(name === undefined ? {} : { name: metadata.name ?? name }) }
      : body.metadata,
  }
  const errors: FieldError[] = []
  const differs = (pointer: string, value: unknown, wanted: string | undefined) => {
    if (wanted !== undefined && typeof value === 'string' && value !== wanted)
      errors.push({ pointer, detail: `is ${wanted} in the address` })
  }
  differs('/kind', full.kind, kind.kind)
  if (isObject(full.metadata)) {
    differs('/metadata/namespace', full.metadata.namespace, namespace)
    differs('/metadata/name', full.metadata.name, name)
  }
  if (errors.length) throw new Problem('invalid', { errors })
  const checked = checkResource(full)
  if (!checked.ok) throw new Problem('invalid', { errors: checked.errors })
  return checked.desired
}
