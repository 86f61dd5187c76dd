/**
 * Keeps the one PostgreSQL of a test run in a process of its own: `node postgres_keeper.ts FOLDER`. The first test file that wants a
 * database starts it, the others join, and it goes away by itself when no test has been alive for a while, so that nothing is
 * left behind by a test run that was killed.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { holder, removeLeftover, startPostgres } from './postgres.ts'

const idleMs = 60_000
const lookMs = 5_000

const [folder = ''] = process.argv.slice(2)

// A port that only one keeper of this folder can hold, and that is free again however it dies: below those that tests take. The same path in another
// root of the file system is another folder.
const { dev, ino } = statSync(dirname(folder), { bigint: true })
const port = 10_000 + (createHash('sha256').update(`${dev} ${ino} ${folder}`).digest().readUInt16BE() % 2_000)
const guard = createServer().listen(port, '127.0.0.1')
try {
  await once(guard, 'listening')
} catch {
  console.error(`port ${port} is taken: by another keeper, or something else`)
  process.exit(0)
}
await removeLeftover(folder)
const postgres = await startPostgres(folder)
writeFileSync(join(folder, 'url.new'), postgres.url, { mode: 0o600 })
renameSync(join(folder, 'url.new'), join(folder, 'url'))

const end = async () => {
  clearInterval(looking)
  // The address goes first, so that nobody joins what is ending.
  rmSync(join(folder, 'url'), { force: true })
  await postgres.stop('fast')
  rmSync(folder, { recursive: true, force: true })
  process.exit(0)
}

/** Each test process holds one connection under this name for as long as it lives. */
const isUsed = async (): Promise<boolean> => {
  const client = new pg.Client({ connectionString: postgres.url })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query('select from pg_stat_activity where application_name = $1 limit 1', [holder])
    return rows.length > 0
  } finally {
    await client.end()
  }
}

let lastUsed = Date.now()
const looking = setInterval(async () => {
  const used = await isUsed().catch(() => undefined)
  if (used) lastUsed = Date.now()
  if (used === undefined || Date.now() - lastUsed > idleMs) await end()
}, lookMs)
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end)
