/** Apply: make the world as these documents say. Each document is a transaction of its own; what is there already is left alone. */

import type { KindName } from '#/kinds/index.ts'
import type { Status } from '#/kinds/kind.ts'
import type { UserSpec } from '#/kinds/user.ts'
import { openPauses } from '#/lib/pauses.ts'
import { Problem } from '#/lib/problem.ts'
import { type Db, sql } from '#/lib/sql.ts'
import type { ResourceChange, ResourceDeps } from './attempt.ts'
import { type Checked, checkResource, type Desired } from './check.ts'
import { type LabelSelector, parseLabelSelector } from './label_selector.ts'
import { type Manifest, type ManifestError, manifestsOf, parseManifests } from './manifest.ts'
import { orderByReference } from './plan.ts'
import { findPrunable } from './prune.ts'
import { keyOf } from './resource.ts'
import { NotProvisioned } from './settle.ts'
import { removeResource, type WriteResult, writeDesired } from './write.ts'

export interface ApplyResult {
  kind: string
  namespace: string
  name: string
  result: WriteResult | 'deleted' | 'refused'
  /** `line` is known when the manifest came as text. */
  errors: ManifestError[]
  status: Status
}

export interface ApplyOptions extends ResourceChange {
  /** Everything is tried and taken back. */
  dryRun?: boolean | undefined
  /** A label selector: what it selects and no document names is deleted, unless a document was refused. */
  prune?: string | undefined
  /** Whether who applies may know of such a resource: of others `prune` deletes none and tells nothing. Absent: of all. */
  sees?: ((resource: { kind: KindName; namespace: string }) => boolean) | undefined
}

/** One result for each document, in their order; what was pruned follows. Throws Problem `too_large`, `unavailable`, and `invalid` for a bad `prune`. */
export const applyDocuments = async (
  deps: ResourceDeps,
  source: string | readonly unknown[],
  options: ApplyOptions,
  now: Date,
): Promise<ApplyResult[]> =>
  applyManifests(deps, typeof source === 'string' ? await parseManifests(source) : manifestsOf(source), options, now)

/** The same for manifests that were read already. */
export const applyManifests = async (
  deps: ResourceDeps,
  manifests: readonly Manifest[],
  options: ApplyOptions,
  now: Date,
): Promise<ApplyResult[]> => {
  const checked = refuseRepeated(await checkManifests(manifests))
  const selector = options.prune === undefined ? undefined : parsePruneSelector(options.prune)
  const perform = async (db: Db, atomically: Atomically) => {
    const results = await applyChecked({ ...deps, db }, { manifests, checked, atomically }, options, now)
    if (!selector || results.some(({ result }) => result === 'refused')) return results
    return [...results, ...(await prune({ ...deps, db }, { selector, checked, atomically }, options, now))]
  }
  if (options.dryRun) return takenBack(deps.db, perform)
  const results = await perform(deps.db, (work) => deps.db.transaction(work))
  if (results.some(({ result }) => result !== 'unchanged' && result !== 'refused')) await deps.snapshot?.refresh()
  return results
}

/** All of a document or nothing. */
type Atomically = <Result>(work: (db: Db) => Promise<Result>) => Promise<Result>

const checkManifests = async (manifests: readonly Manifest[]): Promise<Checked[]> => {
  const checked: Checked[] = []
  const pause = openPauses()
  for (const manifest of manifests) {
    checked.push(checkManifest(manifest))
    await pause()
  }
  return checked
}

const checkManifest = ({ value, errors }: Manifest): Checked =>
  errors.length ? { ok: false, kind: '', namespace: '', name: '', errors } : checkResource(value)

/** A resource that two documents describe is a mistake, whichever is meant. */
const refuseRepeated = (checked: Checked[]): Checked[] => {
  const first = new Map<string, number>()
  return checked.map((item, index) => {
    if (!item.ok) return item
    const { kind, namespace, name } = item.desired
    const key = keyOf(kind.kind, namespace, name)
    const earlier = first.get(key)
    if (earlier === undefined) first.set(key, index)
    return earlier === undefined
      ? item
      : {
          ok: false,
          kind: kind.kind,
          namespace,
          name,
          errors: [{ pointer: '/metadata/name', detail: `document ${earlier + 1} describes it already` }],
        }
  })
}

const applyChecked = async (
  deps: ResourceDeps,
  { manifests, checked, atomically }: { manifests: readonly Manifest[]; checked: Checked[]; atomically: Atomically },
  options: ApplyOptions,
  now: Date,
): Promise<ApplyResult[]> => {
  const results: ApplyResult[] = []
  const wanted: { desired: Desired; index: number }[] = []
  const refuse = (
    index: number,
    { kind, namespace, name }: { kind: string; namespace: string; name: string },
    errors: ManifestError[],
    status: Status = {},
  ) => {
    const lineOf = manifests[index]?.lineOf
    results[index] = { kind, namespace, name, result: 'refused', errors: errors.map((error) => withLine(error, lineOf)), status }
  }
  for (const [index, item] of checked.entries()) {
    if (item.ok) wanted.push({ desired: item.desired, index })
    else refuse(index, item, item.errors)
  }
  const { guard, actor, network, requestId, notices } = options
  const joining = joiningMembers(wanted.map(({ desired }) => desired))
  for (const { desired, index } of orderByReference(wanted)) {
    const { namespace, name } = desired
    const kind = desired.kind.kind
    try {
      const { result, resource } = await atomically((db) =>
        writeDesired(db, deps, desired, { expect: 'any', guard, actor, network, requestId, notices, joining }, now),
      )
      results[index] = { kind, namespace, name, result, errors: [], status: resource.status }
    } catch (error) {
      refuse(index, { kind, namespace, name }, errorsOf(error), statusOf(error, now))
    }
  }
  return results
}

/** Usernames by group, of users in this batch that name their group themselves. */
const joiningMembers = (wanted: readonly Desired[]): Map<string, Set<string>> => {
  const joining = new Map<string, Set<string>>()
  for (const { kind, name, parsed } of wanted) {
    if (kind.kind !== 'User') continue
    // The schema of User made it.
    const { username = name, groups = [] } = parsed as UserSpec
    for (const group of groups) joining.set(group, (joining.get(group) ?? new Set()).add(username))
  }
  return joining
}

/** What a refusal says; anything else than a refusal is no business of a document. */
const errorsOf = (error: unknown): ManifestError[] => {
  if (!(error instanceof Problem) || error.status >= 500) throw error
  return error.errors.length ? error.errors : [{ pointer: '', detail: error.detail }]
}

/** The status that it would have; nothing of it was stored. */
const statusOf = (error: unknown, now: Date): Status =>
  error instanceof NotProvisioned
    ? {
        conditions: [
          {
            type: 'Ready',
            status: 'False',
            reason: error.reason,
            message: error.why,
            lastTransitionTime: now.toISOString(),
            observedGeneration: 0,
          },
        ],
      }
    : {}

const withLine = (error: ManifestError, lineOf: Manifest['lineOf'] | undefined): ManifestError => {
  const line = error.line ?? lineOf?.(error.pointer)
  return { pointer: error.pointer, detail: error.detail, ...(line === undefined ? {} : { line }) }
}

class TakenBack extends Error {}

/** One transaction around everything, so that each document sees those before it, and none of it stays. */
const takenBack = async <Result>(db: Db, work: (db: Db, atomically: Atomically) => Promise<Result>): Promise<Result> => {
  let result: { value: Result } | undefined
  try {
    await db.transaction(async (tx) => {
      result = { value: await work(tx, (inner) => inSavepoint(tx, inner)) }
      throw new TakenBack()
    })
  } catch (error) {
    if (!(error instanceof TakenBack) || !result) throw error
  }
  if (!result) throw new Error('a dry run ended without a result')
  return result.value
}

const inSavepoint = async <Result>(db: Db, work: (db: Db) => Promise<Result>): Promise<Result> => {
  await db.run(sql`savepoint document`)
  try {
    const result = await work(db)
    await db.run(sql`release savepoint document`)
    return result
  } catch (error) {
    await db.run(sql`rollback to savepoint document`)
    throw error
  }
}

const parsePruneSelector = (text: string) => {
  const selector = parseLabelSelector(text, '/prune')
  if (!Object.keys(selector.matchLabels ?? {}).length)
    throw new Problem('invalid', { errors: [{ pointer: '/prune', detail: 'wants at least one label with its value, such as app=web' }] })
  return selector
}

const prune = async (
  deps: ResourceDeps,
  { selector, checked, atomically }: { selector: LabelSelector; checked: Checked[]; atomically: Atomically },
  options: ApplyOptions,
  now: Date,
): Promise<ApplyResult[]> => {
  const kept = new Set(
    checked.flatMap((item) => (item.ok ? [keyOf(item.desired.kind.kind, item.desired.namespace, item.desired.name)] : [])),
  )
  const results: ApplyResult[] = []
  const { guard, sees = () => true, actor, network, requestId } = options
  for (const { kind, namespace, name } of await findPrunable(deps.db, selector, kept)) {
    if (!sees({ kind: kind.kind, namespace })) continue
    const about = { kind: kind.kind, namespace, name, status: {} }
    try {
      await atomically((db) => removeResource(db, deps, { kind, namespace, name }, { guard, actor, network, requestId }, now))
      results.push({ ...about, result: 'deleted', errors: [] })
    } catch (error) {
      results.push({ ...about, result: 'refused', errors: errorsOf(error) })
    }
  }
  return results
}
