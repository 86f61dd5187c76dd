import { type KindName, kindNames } from '#/kinds/index.ts'
import { readOrTell } from './apply.ts'
import { type Command, parseFlags, UsageError } from './command.ts'
import { connectionFlags, connectionUsage, kindOf, openRest, resourcePath } from './rest_client.ts'

export const command: Command = {
  usage: `KIND NAME [-n NAMESPACE]  |  -f FILE|FOLDER|-

  -n, --namespace NS   default: default
  -f, --filename PATH  delete what these manifests name
${connectionUsage}

Exit code 1 when something was not there or was not deleted.`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      namespace: { type: 'string', short: 'n' },
      filename: { type: 'string', short: 'f', multiple: true },
    })
    const [kindName, name, ...rest] = positionals
    const isByName = kindName !== undefined && name !== undefined && rest.length === 0 && !values.filename
    if (!isByName && !(values.filename?.length && kindName === undefined))
      throw new UsageError('name a kind and a resource, or manifests with -f')
    const named = isByName ? [{ kind: kindName, namespace: values.namespace ?? 'default', name }] : await namedIn(values.filename ?? [])
    if (!named) return 1
    const server = await openRest(values, env)
    let failed = false
    for (const { definition, namespace, name: resource } of inOrder(named)) {
      const { status } = await server.call('DELETE', resourcePath(definition, namespace, resource), { expected: [200, 204, 404] })
      process.stdout.write(`${definition.kind} ${namespace}/${resource} ${status === 404 ? 'is not there' : 'deleted'}\n`)
      failed ||= status === 404
    }
    return failed ? 1 : 0
  },
}

/** What refers to others goes before them, however the manifests are sorted. */
const inOrder = (named: readonly { kind: string; namespace: string; name: string }[]) =>
  named
    .map(({ kind, ...place }) => ({ ...place, definition: kindOf(kind) }))
    .toReversed()
    .toSorted((a, b) => kindNames.indexOf(b.definition.kind as KindName) - kindNames.indexOf(a.definition.kind as KindName))

const namedIn = async (paths: string[]) => {
  const documents = await readOrTell(paths)
  return documents?.map(({ value, placeOf }) => {
    const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } }
    const namespace = metadata?.namespace ?? 'default'
    if (typeof kind !== 'string' || typeof metadata?.name !== 'string' || typeof namespace !== 'string')
      throw new Error(`${placeOf('')}: wants kind and metadata.name`)
    return { kind, namespace, name: metadata.name }
  })
}
