/** Kinds with their types: a row becomes a resource whose spec is checked, filled with defaults and frozen. */
import type { z } from 'zod'
import { findKind, type KindName, type kinds } from '#/kinds/index.ts'
import { apiVersion, type Metadata, type Resource, type Status } from '#/kinds/kind.ts'
import type { ResourceRow } from '#/model/resources.ts'

export type SpecOf<Name extends KindName> = z.output<(typeof kinds)[Name]['spec']>
export type ResourceOf<Name extends KindName> = Resource<SpecOf<Name>>

export const keyOf = (kind: string, namespace: string, name: string): string => `${kind}/${namespace}/${name}`

export const metadataOf = (row: ResourceRow): Metadata => ({
  name: row.name,
  namespace: row.namespace,
  labels: row.labels,
  annotations: row.annotations,
  generation: Number(row.generation),
  resourceVersion: row.resource_version,
  creationTimestamp: row.created_at.toISOString(),
})

/** As it was written, for REST and export. */
export const renderRow = (row: ResourceRow): Resource => ({
  apiVersion,
  kind: row.kind,
  metadata: metadataOf(row),
  spec: row.spec,
  status: row.status as Status,
})

const freeze = <Value>(value: Value): Value => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const item of Object.values(value)) freeze(item)
  }
  return value
}

export type Parsed =
  | { kind: 'active'; resource: Resource; activeGeneration: number }
  | { kind: 'inactive' }
  | { kind: 'broken'; problem: string }

/** What of a row is in force. Broken: it was written by a program that knew other fields. */
export const parseRow = (row: ResourceRow): Parsed => {
  const kind = findKind(row.kind)
  if (!kind) return { kind: 'broken', problem: `there is no kind ${row.kind}` }
  if (row.active_spec === null) return { kind: 'inactive' }
  const parsed = kind.spec.safeParse(row.active_spec)
  if (!parsed.success)
    return { kind: 'broken', problem: parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ') }
  const resource = { ...renderRow(row), spec: parsed.data as Record<string, unknown> }
  return { kind: 'active', resource: freeze(resource), activeGeneration: Number(row.active_generation) }
}
