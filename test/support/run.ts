/**
 * `npm test [-- FILE… --test-name-pattern PATTERN]`: sets up what is missing, then runs every test. On Debian as root the foreign programs that
 * tests drive are installed; elsewhere a suite without its program is skipped and says so.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { joinPostgres } from './database.ts'
import { requirements } from './needs.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const policy = '/usr/sbin/policy-rc.d'

const installMissing = (): void => {
  const missing = Object.values(requirements)
    .filter((requirement) => !requirement.isThere())
    .map((requirement) => requirement.package)
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return
  console.log(`Installing what tests drive: ${missing.join(' ')} …`)
  // Debian starts the services it installs unless this file says no.
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    for (const args of [
      ['update', '-qq'],
      ['install', '-y', '-qq', '--no-install-recommends', ...missing],
    ]) {
      const { status, stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8', timeout: 300_000 })
      if (status !== 0) throw new Error(`apt-get ${args[0]} failed: ${`${stdout}${stderr}`.slice(-2_000)}`)
    }
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
}

/** Every test file: those of test/ take long, so they go first, and no core waits for the last one. */
const testFiles = (): string[] =>
  ['src', 'test']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
        .map((entry) => join(entry.parentPath, entry.name)),
    )
    .toSorted()
    .toReversed()

const { values, positionals } = parseArgs({ allowPositionals: true, options: { 'test-name-pattern': { type: 'string', multiple: true } } })

try {
  installMissing()
} catch (error) {
  console.error(`${(error as Error).message}\nSuites that need it are skipped.`)
}
await joinPostgres()

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())
run({
  cwd: root,
  files: positionals.length ? positionals : testFiles(),
  // More at once than there are cores: they wait a good deal, for browsers, mails and programs that start.
  concurrency: availableParallelism() + 2,
  timeout: 300_000,
  testNamePatterns: values['test-name-pattern'],
  signal: stopping.signal,
})
  .on('test:summary', ({ file, success }) => {
    if (file === undefined && !success) process.exitCode = 1
  })
  .compose(new spec())
  .pipe(process.stdout)
