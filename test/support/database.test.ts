import assert from 'node:assert/strict'
import { test } from 'node:test'
import { knownMigrations } from '#/lib/migrate.ts'
import { sql } from '#/lib/sql.ts'
import { freshDatabase } from './database.ts'

test('a fresh database is migrated, its own, and gone after drop', async () => {
  const [one, other] = await Promise.all([freshDatabase(), freshDatabase()])
  const applied = await one.db.any<{ name: string }>(sql`select name from migrations order by name`)
  assert.deepEqual(
    applied.map((row) => row.name),
    knownMigrations(),
  )
  await one.db.run(sql`create table mine (id int)`)
  assert.equal((await other.db.one<{ found: boolean }>(sql`select to_regclass('mine') is not null as found`)).found, false)
  const name = new URL(one.url).pathname.slice(1)
  await one.drop()
  assert.equal((await other.db.one<{ count: number }>(sql`select count(*)::int from pg_database where datname = ${name}`)).count, 0)
  await other.drop()
})
