import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Db, sql } from '#/lib/sql.ts'
import type { Statement } from '#/lib/statement.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { findBeginnings } from './users.ts'

const count = 20_000
let fresh: FreshDatabase
before(async () => {
  fresh = await freshDatabase()
  await fresh.db.run(sql`
    insert into users (user_id, namespace, resource_name, username, username_key, email, email_key, name, search_text, created_at, updated_at)
    select gen_random_uuid(), 'default', key, key, key, key || '@' || key, key || '@' || key, key, key || E'\\n' || key || '@' || key || E'\\n' || key, now(), now()
      from (select 'n' || lpad(i::text, 6, '0') as key from generate_series(1, ${count}::int) as i) as keys`)
  await fresh.db.run(sql`vacuum analyze users`)
})
after(() => fresh.drop())

interface Plan {
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
}

/** Pages that a statement reads, planned for any values as a prepared one is. */
const pagesRead = async (ask: (db: Db) => Promise<unknown>): Promise<number> => {
  let plan: Plan | undefined
  await fresh.db.transaction(async (tx) => {
    await tx.run(sql`set local plan_cache_mode = force_generic_plan`)
    const explaining: Db = {
      ...tx,
      any: async (statement: Statement) => {
        const text = `explain (analyze, buffers, format json) ${statement.text}`
        const row = await tx.one<{ 'QUERY PLAN': [{ Plan: Plan }] }>({
          name: `explained ${statement.name}`,
          text,
          values: statement.values,
        })
        plan = row['QUERY PLAN'][0].Plan
        return []
      },
    }
    await ask(explaining)
  })
  assert.ok(plan)
  return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
}

for (const [column, find] of Object.entries(findBeginnings))
  test(`finding those of whom the ${column} begins so reads a few pages, wherever they stand`, async () => {
    for (const from of ['n000001', 'n010000', 'n019999'])
      for (const key of ['', from]) {
        const range = { from, to: `${from}\u{10ffff}`, after: { key, user_id: '00000000-0000-0000-0000-000000000000' } }
        // The first plan reads catalogues.
        await pagesRead((db) => find(db, range, 10))
        const read = await pagesRead((db) => find(db, range, 10))
        assert.ok(read < 20, `${from} after ${key}: ${read} pages`)
      }
  })
