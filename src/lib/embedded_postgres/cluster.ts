/** The cluster: made once, with one role and one database. */
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import pg from 'pg'
import type { Binaries } from './binaries.ts'
import { lastLines, type Paths } from './folder.ts'
import { ended, type Runner, start } from './runner.ts'

export const database = 'signet'
export const role = 'signet'

export const makeCluster = async (binaries: Binaries, runner: Runner, paths: Paths): Promise<void> => {
  // Made beside its place and moved there when it is whole: a start that is interrupted leaves nothing half-made.
  const unfinished = `${paths.data}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  const passwordForIt = `${unfinished}.password`
  writeFileSync(passwordForIt, readFileSync(paths.password), { mode: 0o600 })
  if (runner.account) for (const path of [unfinished, passwordForIt]) chownSync(path, runner.account.uid, runner.account.gid)
  const log = openSync(paths.log, 'a', 0o600)
  try {
    const outcome = await ended(
      start(
        runner,
        [
          binaries.initdb,
          `--pgdata=${unfinished}`,
          `--username=${role}`,
          `--pwfile=${passwordForIt}`,
          '--auth=scram-sha-256',
          '--encoding=UTF8',
          '--locale-provider=builtin',
          '--builtin-locale=C.UTF-8',
          '--locale=C',
          '--no-instructions',
        ],
        { stdio: ['ignore', log, log], cwd: paths.folder },
      ),
    )
    if (outcome !== 'exit code 0') throw new Error(`The database could not be made (${outcome}):\n${lastLines(paths.log)}`)
  } finally {
    closeSync(log)
    rmSync(passwordForIt, { force: true })
  }
  renameSync(unfinished, paths.data)
}

export const ensureDatabase = async (urlOf: (name: string) => string): Promise<void> => {
  const client = new pg.Client({ connectionString: urlOf('postgres'), application_name: 'signet start' })
  // The next statement fails for it.
  client.on('error', () => {})
  await client.connect()
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database])
    if (!rowCount) await client.query(`create database ${pg.escapeIdentifier(database)}`)
  } finally {
    await client.end()
  }
}
