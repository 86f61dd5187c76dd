import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { findOverlap } from './outpost_endings.ts'

let database: FreshDatabase
before(async () => {
  database = await freshDatabase()
})
after(() => database.drop())

test('whoever reads on begins two minutes before the last that they saw, by when it ended', async () => {
  const { db } = database
  assert.equal(await findOverlap(db, '0'), '0')
  // One each minute, from the first on.
  await db.run(sql`
    insert into outpost_endings (issuer, sid, ended_at)
    select 'https://id.example.com', i::text, timestamptz '2026-03-01T12:00:00Z' + i * interval '1 minute' from generate_series(1, 20) i`)
  assert.deepEqual(await Promise.all(['1', '3', '10', '20', '1000'].map((seen) => findOverlap(db, seen))), ['0', '1', '8', '18', '18'])
  await db.run(sql`delete from outpost_endings where ending_id <= 15`)
  assert.deepEqual(await Promise.all(['10', '16', '20'].map((seen) => findOverlap(db, seen))), ['0', '0', '18'])
})
