import { type Command, parseFlags, UsageError } from './command.ts'
import { render } from './get.ts'
import { connectionFlags, connectionUsage, kindOf, listAll, openRest } from './rest_client.ts'

export const command: Command = {
  usage: `[KIND …] [-n NAMESPACE] [-l SELECTOR] [-o yaml|json]

Prints manifests that signet apply takes; without KIND of every kind.

  -n, --namespace NS   default: all
  -l, --selector SEL   with these labels only
  -o, --output FORMAT  default: yaml
${connectionUsage}`,
  run: async (args, env) => {
    const { values, positionals } = parseFlags(args, {
      ...connectionFlags,
      namespace: { type: 'string', short: 'n' },
      selector: { type: 'string', short: 'l' },
      output: { type: 'string', short: 'o' },
    })
    const format = values.output ?? 'yaml'
    if (!['yaml', 'json'].includes(format)) throw new UsageError(`there is no output ${format}; there are yaml and json`)
    const kinds = positionals.map((name) => kindOf(name).kind).join(',')
    const server = await openRest(values, env)
    const items = await listAll(server, '/api/v1/export', {
      ...(kinds ? { kind: kinds } : {}),
      ...(values.namespace === undefined ? {} : { namespace: values.namespace }),
      ...(values.selector === undefined ? {} : { labelSelector: values.selector }),
    })
    process.stdout.write(format === 'json' ? render(items, 'json') : items.map((item) => `---\n${render(item, 'yaml')}`).join(''))
    return 0
  },
}
