import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { joinPostgres } from '../../test/support/database.ts'
import { until } from '../../test/support/signet.ts'
import { advisoryLock, knownMigrations, migrate } from './migrate.ts'

const name = `test_${randomBytes(8).toString('hex')}`
let cluster: pg.Client
let url: string
let client: pg.Client
before(async () => {
  const address = new URL(await joinPostgres())
  cluster = new pg.Client({ connectionString: address.href })
  await cluster.connect()
  await cluster.query(`create database ${name}`)
  address.pathname = `/${name}`
  url = address.href
  client = new pg.Client({ connectionString: url })
  await client.connect()
})
after(async () => {
  await client.end()
  // Without force: connections of the queue's own migrations are still leaving, and would be told that they are cut.
  await cluster.query(`drop database ${name}`)
  await cluster.end()
})

test('of several who migrate at once one works and the others wait until all is there', async () => {
  const applied = await Promise.all(Array.from({ length: 4 }, () => migrate(url)))
  assert.deepEqual(
    applied.filter((names) => names.length),
    [knownMigrations()],
  )
})

test('an index whose making was interrupted is made anew', async () => {
  await client.query(`update pg_index set indisvalid = false where indexrelid = 'users_full_name_idx'::regclass`)
  await client.query(`delete from migrations where name = '0012_user_beginnings.sql'`)
  assert.deepEqual(await migrate(url), ['0012_user_beginnings.sql'])
  const { rows } = await client.query(`select indexrelid::regclass::text as name from pg_index where not indisvalid`)
  assert.deepEqual(rows, [])
})

test('a connection that is lost between statements fails the migration, and the process goes on', async () => {
  await client.query('select pg_advisory_lock($1)', [advisoryLock])
  try {
    const migrating = assert.rejects(migrate(url))
    const isCut = async () =>
      (
        await client.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'signet migrate' and state = 'idle'`,
        )
      ).rowCount === 1
    await until(isCut)
    await migrating
  } finally {
    await client.query('select pg_advisory_unlock($1)', [advisoryLock])
  }
  assert.deepEqual(await migrate(url), [])
})
