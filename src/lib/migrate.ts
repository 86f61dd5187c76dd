import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

/** Any fixed number: whoever holds it migrates, others wait. */
export const advisoryLock = 7_236_018
const lockRetryMs = 200

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

/** What a migration begins with whose statements can stand in no transaction, as `create index concurrently`. An interrupted one is applied again from its beginning. */
const alone = '-- Outside of a transaction:'

const apply = async (client: pg.Client, name: string): Promise<void> => {
  const text = readFileSync(new URL(name, folder), 'utf8')
  const isAlone = text.startsWith(alone)
  const statements = isAlone ? text.replace(/^--.*$/gm, '').split(/;\s*?\n/) : ['begin', text]
  try {
    for (const statement of statements) await client.query(statement)
    await client.query('insert into migrations (name) values ($1)', [name])
    if (!isAlone) await client.query('commit')
  } catch (error) {
    // Where the connection is gone nothing is left to roll back.
    if (!isAlone) await client.query('rollback').catch(() => {})
    throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error })
  }
}

/** Asked for again and again: whoever waits inside of a statement holds a snapshot, and the making of an index waits for those to end. */
const lock = async (client: pg.Client): Promise<void> => {
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [advisoryLock])
    if (rows[0]?.locked) return
    await delay(lockRetryMs)
  }
}

/** Applies what is missing, each in its own transaction where that is possible, under an advisory lock. Answers the names applied. */
export const migrate = async (url: string): Promise<string[]> => {
  const client = new pg.Client({ connectionString: url, application_name: 'signet migrate' })
  // The next statement fails for it.
  client.on('error', () => {})
  await client.connect()
  try {
    await lock(client)
    await client.query('create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())')
    const applied = new Set((await client.query<{ name: string }>('select name from migrations')).rows.map((row) => row.name))
    const missing = knownMigrations().filter((name) => !applied.has(name))
    for (const name of missing) await apply(client, name)
    const { rows: queue } = await client.query<{ there: boolean }>(`select to_regclass('graphile_worker.migrations') is not null as there`)
    if (missing.length || !queue[0]?.there) await migrateQueue(url)
    return missing
  } finally {
    await client.end()
  }
}
