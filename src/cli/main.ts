/** The commands. Each stands in the file of its name and is loaded when it is asked for, so that none pays for the others. */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { SettingsError } from '#/lib/config.ts'
import { version } from '#/lib/version.ts'
import { type Command, type Environment, UsageError } from './command.ts'

interface Entry {
  summary: string
  load: () => Promise<{ command: Command }>
}

export const commands: Record<string, Entry> = {
  up: { summary: 'Everything in one process, with a database of its own', load: () => import('./up.ts') },
  server: { summary: 'A server, on a database that exists', load: () => import('./server.ts') },
  worker: { summary: 'A worker: background tasks, on a database that exists', load: () => import('./worker.ts') },
  outpost: { summary: 'An outpost by itself, near the applications it guards', load: () => import('./outpost.ts') },
  migrate: { summary: 'Bring a database up to date', load: () => import('./migrate.ts') },
  apply: { summary: 'Apply manifests', load: () => import('./apply.ts') },
  diff: { summary: 'Show what apply would change', load: () => import('./diff.ts') },
  get: { summary: 'Show resources', load: () => import('./get.ts') },
  delete: { summary: 'Delete resources', load: () => import('./delete.ts') },
  export: { summary: 'Print every resource as manifests', load: () => import('./export.ts') },
  explain: { summary: 'Say whether a person may use an application, and why', load: () => import('./explain.ts') },
  flow: { summary: 'Try a flow as a person, see who goes through one', load: () => import('./flow.ts') },
  token: { summary: 'Make, list and delete API tokens', load: () => import('./token.ts') },
  print: { summary: 'Print what is derived from code: reference pages, CRDs', load: () => import('./print.ts') },
}

const general = (): string => {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`)
  return `Usage: signet COMMAND …\n\n${lines.join('\n')}\n\nsignet COMMAND --help says more. Settings are SIGNET_… or flags: docs/reference/settings.md.\n`
}

const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length] ?? 0
}

const nearest = (name: string): string | undefined =>
  Object.keys(commands)
    .map((known) => ({ known, far: distance(name, known) }))
    .filter(({ far, known }) => far <= 2 && far < known.length)
    .sort((a, b) => a.far - b.far)[0]?.known

/** Answers the exit code: 0 done, 1 failed, 2 not understood. */
export const main = async (args: string[], env: Environment): Promise<number> => {
  const [name, ...rest] = args
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(general())
    return 0
  }
  if (name === '--version') {
    process.stdout.write(`${version}\n`)
    return 0
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!entry) {
    const close = nearest(name)
    process.stderr.write(`signet: there is no command ${name}.${close ? ` Did you mean ${close}?` : ''}\n\n${general()}`)
    return 2
  }
  try {
    const { command } = await entry.load()
    const end = rest.indexOf('--')
    if ((end < 0 ? rest : rest.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')) {
      process.stdout.write(`${entry.summary}.\n\nUsage: signet ${name} ${command.usage.trim()}\n`)
      return 0
    }
    return await command.run(rest, env)
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`signet ${name}: ${error.message}\nsignet ${name} --help says what there is.\n`)
      return 2
    }
    process.stderr.write(`signet ${name}: ${toldOf(error)}\n`)
    return 1
  }
}

/** What we threw ourselves says what to do; anything else is a fault of the program, and its place is wanted. */
const toldOf = (error: unknown): string => {
  if (error instanceof SettingsError) return error.message
  if (!(error instanceof Error)) return String(error)
  return error.name === 'Error' ? error.message : (error.stack ?? error.message)
}

// Whoever does not come by bin/signet, which has done so already.
if (import.meta.main) {
  enableCompileCache(process.env.NODE_COMPILE_CACHE ?? join(import.meta.dirname, '../../node_modules/.cache/signet/compiled'))
  process.exit(await main(process.argv.slice(2), process.env))
}
