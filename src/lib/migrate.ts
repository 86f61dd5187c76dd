import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'

/** Any fixed number: whoever holds it migrates, others wait. */
const advisoryLock = 7_236_018

const folder = new URL('../../migrations/', import.meta.url)

/** Names of all migrations this program knows, in order. */
export const knownMigrations = (): string[] =>
  readdirSync(folder)
    .filter((name) => /^\d{4}_.*\.sql$/.test(name))
    .sort()

/** The queue brings migrations of its own. Looked at only beside ours, and by each worker at its start. */
const migrateQueue = async (url: string): Promise<void> => {
  const { Logger, runMigrations } = await import('graphile-worker')
  await runMigrations({ connectionString: url, maxPoolSize: 1, logger: new Logger(() => () => {}) })
}

/** Applies what is missing, each in its own transaction, under an advisory lock. Answers the names applied. */
export const migrate = async (url: string): Promise<string[]> => {
  const client = new pg.Client({ connectionString: url, application_name: 'signet migrate' })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [advisoryLock])
    await client.query('create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())')
    const applied = new Set((await client.query<{ name: string }>('select name from migrations')).rows.map((row) => row.name))
    const missing = knownMigrations().filter((name) => !applied.has(name))
    for (const name of missing) {
      await client.query('begin')
      try {
        await client.query(readFileSync(new URL(name, folder), 'utf8'))
        await client.query('insert into migrations (name) values ($1)', [name])
        await client.query('commit')
      } catch (error) {
        await client.query('rollback')
        throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error })
      }
    }
    const { rows: queue } = await client.query<{ there: boolean }>(`select to_regclass('graphile_worker.migrations') is not null as there`)
    if (missing.length || !queue[0]?.there) await migrateQueue(url)
    return missing
  } finally {
    await client.end()
  }
}
