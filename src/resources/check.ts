/** Is this value a resource? Names every field that is wrong. Pure. */
import { z } from 'zod'
import type { SeenVersion } from '#/identity/entry.ts'
import { labelKeyPattern, labelMap, namespaceName, resourceName } from '#/kinds/fields.ts'
import { findKind, type KindName, kindNames } from '#/kinds/index.ts'
import { apiVersion, type Kind } from '#/kinds/kind.ts'
import type { FieldError } from '#/lib/problem.ts'
import { isObject, pointerTo, unstorable } from './json.ts'

/** A resource as someone wants it. */
export interface Desired {
  kind: Kind<KindName>
  namespace: string
  name: string
  labels: Record<string, string>
  annotations: Record<string, string>
  /** As it was written. */
  spec: Record<string, unknown>
  /** Checked and filled with defaults. */
  parsed: Record<string, unknown> & { paused: boolean }
  resourceVersion: SeenVersion | undefined
}

export type Checked =
  | { ok: true; desired: Desired }
  /** Kind, namespace and name as far as they could be read. */
  | { ok: false; kind: string; namespace: string; name: string; errors: FieldError[] }

export const defaultNamespace = 'default'
const largestSpec = 256 * 1_024

const annotationMap = z
  .record(z.string().regex(labelKeyPattern, 'wants an annotation key such as example.com/owner'), z.string().max(64 * 1_024))
  .refine((value) => JSON.stringify(value).length <= largestSpec, 'are larger than 256 KiB together')

/** What the server writes comes back with an exported manifest and is of no effect. */
const ofTheServer = z.unknown().optional()

const envelope = z.strictObject({
  apiVersion: z.literal(apiVersion, `wants ${apiVersion}`),
  kind: z.enum(kindNames, `wants one of ${kindNames.join(', ')}`),
  metadata: z.strictObject({
    name: resourceName,
    namespace: namespaceName.default(defaultNamespace),
    labels: labelMap.refine((labels) => Object.keys(labels).length <= 64, 'wants at most 64 labels').nullish(),
    annotations: annotationMap.nullish(),
    resourceVersion: z.string().max(100).optional(),
    generation: ofTheServer,
    creationTimestamp: ofTheServer,
    uid: ofTheServer,
    managedFields: ofTheServer,
    selfLink: ofTheServer,
  }),
  spec: z.unknown(),
  status: ofTheServer,
})

/** Issues of a schema as we tell them: a field unknown and a field missing each by its own pointer. */
export const fieldErrorsOf = (error: z.ZodError, root: unknown, path: readonly PropertyKey[] = []): FieldError[] =>
  error.issues.flatMap((issue) => errorsOf(issue, root, path)).slice(0, 200)

const errorsOf = (issue: z.core.$ZodIssue, root: unknown, prefix: readonly PropertyKey[]): FieldError[] => {
  const path = [...prefix, ...issue.path]
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ pointer: pointerTo([...path, key]), detail: 'there is no such field' }))
  if (issue.code === 'invalid_key') return [{ pointer: pointerTo(path), detail: issue.issues[0]?.message ?? 'is no name that fits here' }]
  if (issue.code === 'invalid_union') {
    const nearest = issue.errors.flat().toSorted((a, b) => b.path.length - a.path.length)[0]
    return [{ pointer: pointerTo([...path, ...(nearest?.path ?? [])]), detail: wordsOf(nearest?.message ?? issue.message) }]
  }
  const isMissing = issue.code !== 'custom' && valueAt(root, issue.path) === undefined
  return [{ pointer: pointerTo(path), detail: isMissing ? 'is needed' : wordsOf(issue.message) }]
}

const wordsOf = (message: string): string => message.replace(/^Invalid (input|option): /, '')

const valueAt = (root: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, part) => (value === null || value === undefined ? undefined : (value as Record<PropertyKey, unknown>)[part]),
    root,
  )

const textOr = (value: unknown, fallback = ''): string => (typeof value === 'string' ? value.slice(0, 253) : fallback)

export const checkResource = (value: unknown): Checked => {
  const metadata = isObject(value) && isObject(value.metadata) ? value.metadata : {}
  const refused = (errors: FieldError[]): Checked => ({
    ok: false,
    kind: isObject(value) ? textOr(value.kind) : '',
    namespace: textOr(metadata.namespace, defaultNamespace),
    name: textOr(metadata.name),
    errors,
  })
  if (!isObject(value)) return refused([{ pointer: '', detail: 'wants a resource: apiVersion, kind, metadata, spec' }])
  const unfit = unstorable(value)
  if (unfit.length) return refused(unfit.slice(0, 200))

  const outer = envelope.safeParse(value)
  const kind = typeof value.kind === 'string' ? findKind(value.kind) : undefined
  const errors = outer.success ? [] : fieldErrorsOf(outer.error, value)
  if (!kind) return refused(errors)
  const inner = checkSpec(kind, value.spec)
  if (!inner.ok) errors.push(...inner.errors)
  if (!outer.success || !inner.ok) return refused(errors)
  const { name, namespace, labels, annotations, resourceVersion } = outer.data.metadata
  return {
    ok: true,
    desired: {
      kind,
      namespace,
      name,
      labels: labels ?? {},
      annotations: annotations ?? {},
      spec: value.spec as Record<string, unknown>,
      parsed: inner.parsed,
      resourceVersion,
    },
  }
}

type CheckedSpec = { ok: true; parsed: Desired['parsed'] } | { ok: false; errors: FieldError[] }

const checkSpec = (kind: Kind<KindName>, spec: unknown): CheckedSpec => {
  if (!isObject(spec)) return { ok: false, errors: [{ pointer: '/spec', detail: spec === undefined ? 'is needed' : 'wants an object' }] }
  if (JSON.stringify(spec).length > largestSpec) return { ok: false, errors: [{ pointer: '/spec', detail: 'is larger than 256 KiB' }] }
  const parsed = kind.spec.safeParse(spec)
  if (!parsed.success) return { ok: false, errors: fieldErrorsOf(parsed.error, spec, ['spec']) }
  // defineKind holds every schema to an object with `paused`.
  return { ok: true, parsed: parsed.data as Desired['parsed'] }
}
