/** Kinds that live in the table `resources`. Each change is followed, in the same transaction, by the status of whatever depends on it. */
import { isDeepStrictEqual } from 'node:util'
import { changesBetween } from '#/events/changes.ts'
import { recordChange } from '#/identity/change.ts'
import { pageLimit, pageOf, parseCursor } from '#/identity/page.ts'
import type { Resource } from '#/kinds/kind.ts'
import type { Db } from '#/lib/sql.ts'
import { deleteResource, findResource, listResources, lockConfiguration, type ResourceRow, writeResource } from '#/model/resources.ts'
import { findClientIdentity, followClientIdentity } from '../client_grants.ts'
import { takePrivateKey } from '../key_pairs.ts'
import { renderRow } from '../resource.ts'
import { checkRemoval, settle } from '../settle.ts'
import type { ResourceStore, Stored } from './store.ts'

const stored = (row: ResourceRow): Stored => ({ resource: renderRow(row), id: undefined })

const targetOf = ({ kind, metadata }: Resource) => ({ kind, name: `${metadata.namespace}/${metadata.name}` })

const isReady = ({ status }: Resource): boolean =>
  status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false

const identityOf = async (db: Db, kind: string, namespace: string, name: string) =>
  kind === 'AuthClient' ? await findClientIdentity(db, namespace, name) : undefined

/** What of a resource someone writes. */
const written = ({ metadata, spec }: Resource) => ({ metadata: { labels: metadata.labels, annotations: metadata.annotations }, spec })

export const configurationRows: ResourceStore = {
  lock: async (db) => {
    await lockConfiguration(db)
  },

  find: async (db, kind, namespace, name) => {
    const row = await findResource(db, kind.kind, namespace, name)
    return row && stored(row)
  },

  list: async (db, kind, { namespace, labels = {}, cursor, limit }) => {
    const size = pageLimit(limit)
    const [afterNamespace = '', afterName = ''] = parseCursor(cursor, ['text', 'text']) ?? []
    const rows = await listResources(db, {
      kind: kind.kind,
      namespace: namespace ?? null,
      labels,
      after: [afterNamespace, afterName],
      limit: size + 1,
    })
    return pageOf(rows, size, (row) => [row.namespace, row.name], stored)
  },

  write: async (db, desired, existing, { rootSecret, change, now }) => {
    const { kind, namespace, name, labels, annotations, parsed } = desired
    const taken = kind.kind === 'KeyPair' ? await takePrivateKey(db, rootSecret, desired, now) : undefined
    const spec = taken?.spec ?? desired.spec
    if (existing && isDeepStrictEqual(written(existing.resource), { metadata: { labels, annotations }, spec })) {
      // A policy may have changed since: what was written long ago is still refused today.
      if (!isReady(existing.resource)) await settle(db, { rootSecret, change, now, about: { kind: kind.kind, namespace, name } })
      return existing
    }
    const before = await identityOf(db, kind.kind, namespace, name)
    const row = await writeResource(db, { kind: kind.kind, namespace, name, labels, annotations, spec, paused: parsed.paused }, now)
    await taken?.keep(db, row)
    const after = renderRow(row)
    await recordChange(
      db,
      change,
      {
        action: `${kind.singular}.${existing ? 'updated' : 'created'}`,
        target: targetOf(after),
        changes: changesBetween(existing ? written(existing.resource) : {}, written(after)),
      },
      now,
    )
    await settle(db, { rootSecret, change, now, about: { kind: kind.kind, namespace, name } })
    await followClientIdentity(db, { before, after: await identityOf(db, kind.kind, namespace, name) }, now)
    const settled = await findResource(db, kind.kind, namespace, name)
    return settled ? stored(settled) : { resource: after, id: undefined }
  },

  remove: async (db, { resource }, { rootSecret, baseUrl, change, now }) => {
    const { kind, metadata } = resource
    await checkRemoval(db, { kind, namespace: metadata.namespace, name: metadata.name }, baseUrl)
    const before = await identityOf(db, kind, metadata.namespace, metadata.name)
    await deleteResource(db, kind, metadata.namespace, metadata.name)
    await followClientIdentity(db, { before, after: undefined }, now)
    await recordChange(
      db,
      change,
      { action: `${kind.toLowerCase()}.deleted`, target: targetOf(resource), changes: changesBetween(written(resource), {}) },
      now,
    )
    await settle(db, { rootSecret, change, now, about: { kind, namespace: metadata.namespace, name: metadata.name } })
  },
}
