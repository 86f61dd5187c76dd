import { findKind } from '#/kinds/index.ts'
import { unifiedDiff } from '#/lib/unified_diff.ts'
import { type ApplyResult, postApply, readOrTell } from './apply.ts'
import { type Command, parseFlags, UsageError } from './command.ts'
import { render } from './get.ts'
import type { ManifestDocument } from './manifest_files.ts'
import { connectionFlags, connectionUsage, kindOf, openRest, type Rest, resourcePath } from './rest_client.ts'

export const command: Command = {
  usage: `-f FILE|FOLDER|- [-f …] [--prune SELECTOR]

Prints what apply would change, as a unified diff.

  -f, --filename PATH  manifests: a file, a folder of them, or - for standard input
  --prune SELECTOR     as apply would prune
${connectionUsage}

Exit code 1 when there is a difference or a document would be refused.`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      filename: { type: 'string', short: 'f', multiple: true },
      prune: { type: 'string' },
    })
    if (!values.filename?.length || positionals.length) throw new UsageError('name the manifests with -f')
    const documents = await readOrTell(values.filename)
    if (!documents) return 1
    const rest = await openRest(values, env)
    const results = await postApply(rest, documents, { dryRun: true, prune: values.prune })
    let isDifferent = false
    for (const [index, result] of results.entries()) {
      if (result.result === 'unchanged') continue
      isDifferent = true
      process.stdout.write(await differenceOf(rest, result, documents[index]))
    }
    return isDifferent ? 1 : 0
  },
}

interface Manifest {
  apiVersion?: string
  kind?: string
  metadata?: { name?: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> }
  spec?: Record<string, unknown>
}

const differenceOf = async (rest: Rest, result: ApplyResult, document: ManifestDocument | undefined): Promise<string> => {
  const { kind, namespace, name, errors } = result
  if (result.result === 'refused')
    return errors
      .map(({ pointer, detail }) => `# refused: ${document?.placeOf(pointer) ?? `${kind} ${namespace}/${name}`}: ${pointer} ${detail}\n`)
      .join('')
  const { status, body } = await rest.call('GET', resourcePath(kindOf(kind), namespace, name), { expected: [200, 404] })
  const live = status === 404 ? undefined : (body as Manifest)
  const wanted = result.result === 'deleted' ? undefined : (document?.value as Manifest | undefined)
  const path = `${kind}/${namespace}/${name}`
  const names = { before: live ? `live/${path}` : '/dev/null', after: wanted ? `applied/${path}` : '/dev/null' }
  return unifiedDiff(live ? textOf(live, namespace, undefined) : '', wanted ? textOf(wanted, namespace, live) : '', names)
}

/** What both sides are compared by: names, labels, annotations and the spec with its defaults. */
const textOf = ({ apiVersion, kind = '', metadata = {}, spec = {} }: Manifest, namespace: string, live: Manifest | undefined): string => {
  const definition = findKind(kind)
  const parsed = definition?.spec.safeParse(spec)
  const complete = (parsed?.success ? parsed.data : spec) as Record<string, unknown>
  // Members and groups that a manifest leaves out stay as they are.
  const kept = definition && definition.storage !== 'resources' ? { ...live?.spec, ...complete } : complete
  const { name, labels = {}, annotations = {} } = metadata
  // The server shows them to no one, and neither does this.
  const shown = Object.fromEntries(Object.entries(kept).filter(([field]) => !definition?.writeOnly.includes(field)))
  return render(
    {
      apiVersion,
      kind,
      metadata: { name, namespace, ...nonEmpty({ labels, annotations }) },
      spec: sorted(shown),
    },
    'yaml',
  )
}

const nonEmpty = (maps: Record<string, Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(maps)
      .filter(([, map]) => Object.keys(map).length)
      .map(([field, map]) => [field, sorted(map)]),
  )

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, part]) => part !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, part]) => [key, sorted(part)]),
  )
}
