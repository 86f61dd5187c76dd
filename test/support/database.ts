/**
 * One real PostgreSQL for a whole test run; each test file gets a database of its own, cloned from a migrated template in some tens
 * of milliseconds. `TEST_DATABASE_URL` names a PostgreSQL to use (a role that may create databases); without it one is started in
 * the temporary folder, joined by every test process of this checkout, and it ends by itself.
 */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { knownMigrations, migrate } from '#/lib/migrate.ts'
import { type Database, openDatabase } from '#/lib/sql.ts'
import { answers, holder } from './postgres.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(tmpdir(), `signet-test-${userInfo().username}-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`)
const patienceMs = 60_000

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** What the keeper counts as a test that is still alive; it ends with this process, however that ends. */
const hold = async (url: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url, application_name: holder })
  client.on('error', () => {})
  await client.connect()
  // Missing in the types of pg.
  ;(client as pg.Client & { unref(): void }).unref()
}

/** Address of the run's PostgreSQL; starts it when nobody did. Many processes may call this at once: each may send a keeper, and only one keeper stays. */
export const joinPostgres = async (): Promise<string> => {
  if (process.env.TEST_DATABASE_URL) return process.env.TEST_DATABASE_URL
  const deadline = Date.now() + patienceMs
  let sentAt = 0
  for (;;) {
    const url = readIfThere(join(folder, 'url'))
    if (url && (await answers(url))) {
      await hold(url)
      process.env.TEST_DATABASE_URL = url
      return url
    }
    // Sent again, since the last keeper may just have been leaving.
    if (Date.now() - sentAt > 5_000) {
      sentAt = Date.now()
      const log = openSync(`${folder}.log`, 'w', 0o600)
      spawn(process.execPath, [fileURLToPath(new URL('postgres_keeper.ts', import.meta.url)), folder], {
        detached: true,
        stdio: ['ignore', log, log],
      }).unref()
      closeSync(log)
    }
    if (Date.now() > deadline) throw new Error(`no PostgreSQL for the tests: ${readIfThere(`${folder}.log`) || 'its keeper left no word'}`)
    await delay(50)
  }
}

const withClient = async <Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const urlOf = (cluster: string, database: string): string => {
  const url = new URL(cluster)
  url.pathname = `/${database}`
  return url.href
}

/** A changed migration is another template. */
const templateName = (): string => {
  const hash = createHash('sha256')
  for (const name of knownMigrations()) {
    hash.update(name).update('\0')
    hash.update(readFileSync(join(root, 'migrations', name))).update('\0')
  }
  return `template_${hash.digest('hex').slice(0, 24)}`
}

/** Any fixed number: whoever holds it builds the template, others wait. */
const templateLock = 4_711_001

const ensureTemplate = async (cluster: string): Promise<string> => {
  const name = templateName()
  await withClient(cluster, async (client) => {
    await client.query('select pg_advisory_lock($1)', [templateLock])
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount) return
    // Built under another name, so that a template that exists is a whole one.
    const building = `${name}_building`
    await client.query(`drop database if exists ${building} with (force)`)
    await client.query(`create database ${building}`)
    await migrate(urlOf(cluster, building))
    await client.query(`alter database ${building} rename to ${name}`)
  })
  return name
}

export interface FreshDatabase {
  db: Database
  url: string
  /** Closes `db` and removes the database, whoever is still connected. */
  drop(): Promise<void>
}

/** A migrated, empty database of one's own. */
export const freshDatabase = async (): Promise<FreshDatabase> => {
  const cluster = await joinPostgres()
  const template = await ensureTemplate(cluster)
  const name = `test_${randomBytes(8).toString('hex')}`
  // The other strategy writes every page to the log as well.
  await withClient(cluster, (client) => client.query(`create database ${name} template ${template} strategy file_copy`))
  const url = urlOf(cluster, name)
  const db = openDatabase({ url, max: 8 })
  return {
    db,
    url,
    drop: async () => {
      await db.close()
      await withClient(cluster, (client) => client.query(`drop database if exists ${name} with (force)`))
    },
  }
}
