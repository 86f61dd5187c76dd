import { type Command, parseFlags, UsageError } from './command.ts'
import { type ManifestDocument, ManifestError, readManifests, readStandardInput } from './manifest_files.ts'
import { connectionFlags, connectionUsage, openRest, type Rest } from './rest_client.ts'

export interface ApplyResult {
  kind: string
  namespace: string
  name: string
  result: 'created' | 'configured' | 'unchanged' | 'deleted' | 'refused'
  errors: { pointer: string; detail: string }[]
  status?: { conditions?: { type: string; status: string; reason?: string; message?: string }[] }
}

export const command: Command = {
  usage: `-f FILE|FOLDER|- [-f …] [--dry-run] [--prune SELECTOR]

  -f, --filename PATH  manifests: a file, a folder of them, or - for standard input
  --dry-run            say what would happen, change nothing
  --prune SELECTOR     delete what has these labels and is not among the manifests
${connectionUsage}

Exit code 1 when a document was refused.`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      filename: { type: 'string', short: 'f', multiple: true },
      'dry-run': { type: 'boolean' },
      prune: { type: 'string' },
    })
    if (!values.filename?.length || positionals.length) throw new UsageError('name the manifests with -f')
    const documents = await readOrTell(values.filename)
    if (!documents) return 1
    const rest = await openRest(values, env)
    const results = await postApply(rest, documents, { dryRun: values['dry-run'] === true, prune: values.prune })
    for (const [index, result] of results.entries()) process.stdout.write(linesOf(result, documents[index], values['dry-run'] === true))
    return results.some(({ result }) => result === 'refused') ? 1 : 0
  },
}

/** Undefined when something is no YAML; it was told with its place. */
export const readOrTell = async (paths: string[]): Promise<ManifestDocument[] | undefined> => {
  try {
    const documents = await readManifests(paths, readStandardInput)
    if (documents.length === 0) throw new Error(`there is nothing to apply in ${paths.join(', ')}`)
    return documents
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error
    process.stderr.write(error.mistakes.map((mistake) => `${mistake}\n`).join(''))
    return undefined
  }
}

/** One result a document, in order; what was pruned follows. */
export const postApply = async (
  rest: Rest,
  documents: ManifestDocument[],
  { dryRun, prune }: { dryRun: boolean; prune?: string | undefined },
): Promise<ApplyResult[]> => {
  const query = new URLSearchParams({ ...(dryRun ? { dryRun: 'true' } : {}), ...(prune === undefined ? {} : { prune }) })
  // JSON is YAML: each document on a line of its own, so that the server counts documents as we do.
  const body = documents.map(({ value }) => `---\n${JSON.stringify(value)}\n`).join('')
  const answer = await rest.call('POST', `/api/v1/apply?${query}`, { body, contentType: 'application/yaml', expected: [200, 422] })
  if (!Array.isArray(answer.body)) {
    const { detail, errors = [] } = (answer.body ?? {}) as { detail?: string; errors?: { pointer: string; detail: string }[] }
    throw new Error([detail ?? 'the server refused', ...errors.map((error) => `  ${error.pointer}: ${error.detail}`)].join('\n'))
  }
  return answer.body as ApplyResult[]
}

const linesOf = (
  { kind, namespace, name, result, errors, status }: ApplyResult,
  document: ManifestDocument | undefined,
  dryRun: boolean,
): string => {
  const head = `${kind || 'document'} ${namespace ? `${namespace}/` : ''}${name || '?'} ${result}${dryRun && result !== 'refused' ? ' (dry run)' : ''}\n`
  const told = errors.map(
    ({ pointer, detail }) => `  ${document?.placeOf(pointer) ?? ''}${document ? ': ' : ''}${fieldName(pointer)}${detail}\n`,
  )
  const unready = (status?.conditions ?? [])
    .filter((condition) => condition.type === 'Ready' && condition.status !== 'True' && errors.length === 0)
    .map(({ reason, message }) => `  not ready: ${[reason, message].filter(Boolean).join(': ')}\n`)
  return head + [...told, ...unready].join('')
}

/** `/spec/redirectUris/0` as `spec.redirectUris[0]: `. */
const fieldName = (pointer: string): string => {
  const parts = pointer.split('/').slice(1)
  if (parts.length === 0) return ''
  const words = parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  return `${words.map((word, index) => (/^\d+$/.test(word) ? `[${word}]` : `${index ? '.' : ''}${word}`)).join('')}: `
}
