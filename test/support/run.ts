/**
 * `npm test [-- FILE…]`: sets up what is missing, then runs every test. On Debian as root the foreign programs that tests drive are
 * installed; elsewhere a suite without its program is skipped and says so.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
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

/** Every test file. The runner takes them by their names. */
const testFiles = (): string[] =>
  ['src', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  )

try {
  installMissing()
} catch (error) {
  console.error(`${(error as Error).message}\nSuites that need it are skipped.`)
}
await joinPostgres()

const given = process.argv.slice(2)
const files = given.length ? given : testFiles()
const child = spawn(
  process.execPath,
  // More at once than there are cores: they wait a good deal, for browsers, mails and programs that start.
  ['--test', `--test-concurrency=${availableParallelism() + 2}`, '--test-timeout=300000', '--test-reporter=spec', ...files],
  { cwd: root, stdio: 'inherit' },
)
// A terminal's Ctrl-C reaches the child by itself.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
