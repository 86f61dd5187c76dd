import { stringify } from 'yaml'
import { type Command, parseFlags, UsageError } from './command.ts'
import { connectionFlags, connectionUsage, kindOf, listAll, openRest, resourcePath } from './rest_client.ts'

interface Shown {
  metadata: { name: string; namespace: string; creationTimestamp?: string }
  status?: { conditions?: { type: string; status: string; reason?: string }[] }
}

export const command: Command = {
  usage: `KIND [NAME] [-n NAMESPACE] [-A] [-l SELECTOR] [-o yaml|json|table]

  -n, --namespace NS    default: default
  -A, --all-namespaces  of every namespace
  -l, --selector SEL    with these labels only
  -o, --output FORMAT   default: table
${connectionUsage}`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      namespace: { type: 'string', short: 'n' },
      'all-namespaces': { type: 'boolean', short: 'A' },
      selector: { type: 'string', short: 'l' },
      output: { type: 'string', short: 'o' },
    })
    const [kindName, name, ...rest] = positionals
    if (kindName === undefined || rest.length) throw new UsageError('name a kind, and one resource of it at most')
    const format = values.output ?? 'table'
    if (!['yaml', 'json', 'table'].includes(format)) throw new UsageError(`there is no output ${format}; there are yaml, json and table`)
    const kind = kindOf(kindName)
    const namespace = values['all-namespaces'] ? '*' : (values.namespace ?? 'default')
    const server = await openRest(values, env)
    if (name !== undefined) {
      const { body } = await server.call('GET', resourcePath(kind, namespace, name))
      process.stdout.write(format === 'table' ? table([body as Shown]) : render(body, format))
      return 0
    }
    const items = await listAll(
      server,
      resourcePath(kind, namespace),
      values.selector === undefined ? {} : { labelSelector: values.selector },
    )
    process.stdout.write(
      format === 'table'
        ? table(items as Shown[])
        : format === 'json'
          ? render({ items }, 'json')
          : items.map((item) => `---\n${render(item, 'yaml')}`).join(''),
    )
    return 0
  },
}

export const render = (value: unknown, format: string): string =>
  format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value, { lineWidth: 0 })

const table = (items: Shown[]): string => {
  const rows = items.map(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')
    return [metadata.namespace, metadata.name, ready?.status ?? '', ready?.reason ?? '', metadata.creationTimestamp ?? '']
  })
  return columns([['NAMESPACE', 'NAME', 'READY', 'REASON', 'CREATED'], ...rows])
}

/** Text in columns as wide as their widest word. */
export const columns = (rows: string[][]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map(
      (row) =>
        `${row
          .map((word, column) => word.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
