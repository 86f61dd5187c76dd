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

type ParsedSpec = { ok: true; spec: Record<string, unknown> } | { ok: false; problem: string }

const parseSpec = (kindName: string, value: unknown): ParsedSpec => {
  const kind = findKind(kindName)
  if (!kind) return { ok: false, problem: `there is no kind ${kindName}` }
  const parsed = kind.spec.safeParse(value)
  return parsed.success
    ? { ok: true, spec: freeze(parsed.data as Record<string, unknown>) }
    : { ok: false, problem: parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ') }
}

export type Parsed = { kind: 'active'; resource: Resource } | { kind: 'inactive' } | { kind: 'broken'; problem: string }

/** What of a row is in force. Broken: it was written by a program that knew other fields. */
export const parseRow = (row: ResourceRow): Parsed => {
  if (row.active_spec === null) return { kind: 'inactive' }
  const parsed = parseSpec(row.kind, row.active_spec)
  return parsed.ok
    ? { kind: 'active', resource: freeze({ ...renderRow(row), spec: parsed.spec }) }
    : { kind: 'broken', problem: parsed.problem }
}

const known = new Map<string, ParsedSpec>()
/** Characters of all keys together. */
const mostKnown = 16 * 1_024 * 1_024
let knownLength = 0

/** Parsing the same text gives the same, and each change of configuration looks at all of it: so it is remembered. */
const parseSpecText = (kind: string, text: string): ParsedSpec => {
  const key = `${kind} ${text}`
  let parsed = known.get(key)
  if (!parsed) {
    parsed = parseSpec(kind, JSON.parse(text))
    known.set(key, parsed)
    knownLength += key.length
    for (const oldest of known.keys()) {
      if (knownLength <= mostKnown) break
      known.delete(oldest)
      knownLength -= oldest.length
    }
  }
  return parsed
}

/** As much of a row as it takes to put configuration into relation: what the resource says of itself beside that is left out. */
export const parseActive = ({
  kind,
  namespace,
  name,
  labels,
  active_spec,
}: Pick<ResourceRow, 'kind' | 'namespace' | 'name' | 'labels'> & { active_spec: string | null }): Parsed => {
  if (active_spec === null) return { kind: 'inactive' }
  const parsed = parseSpecText(kind, active_spec)
  if (!parsed.ok) return { kind: 'broken', problem: parsed.problem }
  const metadata = { name, namespace, labels, annotations: {}, generation: 0, resourceVersion: '', creationTimestamp: '' }
  return { kind: 'active', resource: { apiVersion, kind, metadata, spec: parsed.spec, status: {} } }
}
