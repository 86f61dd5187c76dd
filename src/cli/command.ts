import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { type FolderSetting, settingsTable } from '#/lib/config.ts'

export type Environment = Record<string, string | undefined>

/** What a file of this folder exports as `command`. */
export interface Command {
  /** What follows `signet NAME` and what it means, shown by --help. */
  usage: string
  /** Answers the exit code. */
  run(args: string[], env: Environment): Promise<number>
}

/** What a server reads of the settings that name folders. */
export const serverFolders: readonly FolderSetting[] = ['MANIFESTS', 'CERTS_DIR', 'TEMPLATES_DIR', 'BREACHED_PASSWORDS_DIR']

/** The command line was not understood: exit code 2. */
export class UsageError extends Error {}

const flagOf = (name: string): string => name.toLowerCase().replaceAll('_', '-')

const settingsFlags: ParseArgsOptionsConfig = Object.fromEntries(
  Object.keys(settingsTable).map((name) => [flagOf(name), { type: 'string' }]),
)

/** Flags of one command; an unknown one, or one without its value, is a UsageError. */
export const parseFlags = <Options extends ParseArgsOptionsConfig>(args: string[], options: Options) => {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/\. To specify a positional argument.*$/s, ''))
  }
}

/** Every setting is a flag as well (`--port`); beside them `own` flags that are on or off, or take a text. */
export const parseProcessFlags = <Own extends ParseArgsOptionsConfig>(args: string[], own: Own) => {
  const { values, positionals } = parseFlags(args, { ...settingsFlags, ...own })
  if (positionals.length) throw new UsageError(`there is nothing to be done with ${positionals.join(' ')}`)
  const settings: Record<string, string> = {}
  for (const [flag, value] of Object.entries(values)) if (flag in settingsFlags && typeof value === 'string') settings[flag] = value
  return { settings, own: values as ReturnType<typeof parseArgs<{ options: Own }>>['values'] }
}
