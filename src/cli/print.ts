/** Everything that is printed from code, so that it can't disagree with it. `.ci/run` prints and fails when something changed. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Command, parseFlags } from './command.ts'
import { printCrds } from './print/crds.ts'
import { printKinds } from './print/kinds.ts'
import { printOpenApi } from './print/openapi.ts'
import type { PrintedFile } from './print/printed_file.ts'
import { printSettings } from './print/settings.ts'

const printers: (() => Iterable<PrintedFile>)[] = [printSettings, printKinds, printCrds, printOpenApi]

export const command: Command = {
  usage: `[FOLDER]

Writes docs/reference/ and deploy/crds/ below FOLDER (default: the project itself).`,
  run: async (args) => {
    const { positionals } = parseFlags(args, {})
    const root = resolve(positionals[0] ?? join(import.meta.dirname, '..', '..'))
    for (const print of printers)
      for (const [path, text] of print()) {
        const file = join(root, path)
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, text)
        process.stdout.write(`${path}\n`)
      }
    return 0
  },
}
