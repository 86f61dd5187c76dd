/** What users and groups have in common where they are written: each is an entry with a version and a place among the resources. */
import { changesBetween } from '#/events/changes.ts'
import { type FieldError, Problem } from '#/lib/problem.ts'
import type { Change } from './change.ts'
import type { ResourceMetadata } from './resource_place.ts'

/** The version that a writer saw, or which ones they take it for. */
export type SeenVersion = string | ((version: string) => boolean)

export const isAsSeen = (seen: SeenVersion | undefined, version: string): boolean =>
  seen === undefined || (typeof seen === 'string' ? seen === version : seen(version))

export interface Writing extends Change {
  /** Another one in the database is Problem `precondition_failed`. */
  resourceVersion?: SeenVersion | undefined
}

export interface Replacement extends Writing {
  /** Absent: as they are. */
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
}

interface Entry {
  resourceVersion: string
  metadata: ResourceMetadata
}

export const checkVersion = (entry: Entry, { resourceVersion }: Writing): void => {
  if (!isAsSeen(resourceVersion, entry.resourceVersion)) throw new Problem('precondition_failed')
}

/** Fields as someone wants them, and what is wrong with them already. */
export interface Wanted {
  input: object
  errors: readonly FieldError[]
}

/** The patch without its read-only fields: they may come back as they were sent out; changed ones are errors. */
export const withoutReadOnly = <Fields extends Entry>(
  current: Fields,
  { ...patch }: Record<string, unknown>,
  readOnly: readonly (keyof Fields & string)[],
): { patch: Record<string, unknown>; errors: FieldError[] } => {
  const errors = readOnly.flatMap((field) => {
    const value = patch[field]
    delete patch[field]
    const is = current[field]
    return value === undefined || value === (is instanceof Date ? is.toISOString() : is)
      ? []
      : [{ pointer: `/${field}`, detail: 'can not be written' }]
  })
  return { patch, errors }
}

export const metadataChanges = (
  { metadata: { labels, annotations } }: Entry,
  after: { labels: Record<string, string>; annotations: Record<string, string> },
) => changesBetween({ labels, annotations }, after)
