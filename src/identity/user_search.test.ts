import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, sql } from '#/lib/sql.ts'
import { estimateSearch } from '#/model/users.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { searchUsers } from './user_search.ts'

const count = 6_000
let fresh: FreshDatabase
let db: Database
before(async () => {
  fresh = await freshDatabase()
  db = fresh.db
  // The last hundred are `late`, every third is `often`, all are `user`.
  await db.run(sql`
    insert into users (user_id, namespace, resource_name, username, username_key, search_text, created_at, updated_at)
    select lpad(to_hex(i), 32, '0')::uuid, 'default', 'n' || i, 'n' || i, 'n' || i,
           'user' || i || case when i % 3 = 0 then ' often' else '' end || case when i > ${count}::int - 100 then ' late' else '' end,
           now(), now()
      from generate_series(1, ${count}::int) as i`)
  await db.run(sql`analyze users`)
})
after(() => fresh.drop())

/** Every page until there is none, and how many of them were short of what was asked for. */
const collect = async (pattern: string, limit: number, walks?: number[]) => {
  const names: string[] = []
  let after: string | null = null
  let short = 0
  for (let pages = 0; pages < 1_000; pages++) {
    const { rows, goOnAfter } = await searchUsers(db, { pattern, after, limit, ...(walks ? { walks } : {}) })
    names.push(...rows.map(({ username }) => username))
    if (rows.length < limit && goOnAfter !== undefined) short++
    after = rows.length < limit ? (goOnAfter ?? null) : (rows.at(-1)?.user_id ?? null)
    if (after === null) return { names, short }
  }
  throw new Error('the pages do not end')
}

const expected = async (pattern: string) =>
  (await db.any<{ username: string }>(sql`select username from users where search_text like ${pattern} order by user_id`)).map(
    ({ username }) => username,
  )

const cases: [string, string, number][] = [
  ['one', '%user4321%', 50],
  ['nobody', '%nobody%', 50],
  ['everyone', '%user%', 500],
  ['every third', '%often%', 100],
  ['those at the end', '%late%', 30],
  ['a few', '%user59%', 7],
]

for (const [what, pattern, limit] of cases)
  for (const walks of [undefined, [1], [10, 20], [1_000]])
    test(`searching finds ${what} completely, in order and once, ${walks ? `walking ${walks} at a time` : 'as usual'}`, async () => {
      const rare = pattern === '%user4321%' || pattern === '%nobody%'
      if (walks?.[0] === 1 && !rare) return
      assert.deepEqual((await collect(pattern, limit, walks)).names, await expected(pattern))
    })

test('a walk has an end: pages of those who come late are short, and go on', async () => {
  const { names, short } = await collect('%often%', 400, [50])
  assert.ok(short > 10)
  assert.deepEqual(names, await expected('%often%'))
})

test('the planner is asked, and reads no table', async () => {
  const many = await estimateSearch(db, '%user%')
  const few = await estimateSearch(db, '%user4321%')
  assert.equal(many.users, count)
  assert.ok(many.found > count / 2 && few.found < count / 10, JSON.stringify({ many, few }))
})
