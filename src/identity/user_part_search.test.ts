import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, sql } from '#/lib/sql.ts'
import { estimateSearch } from '#/model/users.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { searchParts } from './user_part_search.ts'

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

const noBeginning = { username: null, email: null, full_name: null, last_name: null, domain: null }

/** Every page until there is none, and how many of them were short of what was asked for. */
const collect = async (pattern: string, limit: number, walks?: number[]) => {
  const names: string[] = []
  let after: string | null = null
  let short = 0
  for (let pages = 0; pages < 1_000; pages++) {
    const { rows, goOnAfter } = await searchParts(db, { pattern, ...noBeginning }, { after, limit, ...(walks ? { walks } : {}) })
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

test('what trigrams were given up for is walked for, to the end', async () => {
  const search = { pattern: '%late%', ...noBeginning }
  const names: string[] = []
  let after: string | null = null
  do {
    const { rows, goOnAfter, isWalk } = await searchParts(db, search, { after, limit: 50, isWalk: true, walks: [1_000] })
    assert.equal(isWalk, true)
    names.push(...rows.map(({ username }) => username))
    after = rows.length < 50 ? (goOnAfter ?? null) : (rows.at(-1)?.user_id ?? null)
  } while (after !== null)
  assert.deepEqual(names, await expected('%late%'))
})

test('trigrams get a time; a search that takes longer walks, and says so for the next page', async () => {
  const { isWalk, rows } = await db.transaction(async (tx) => {
    const { definition } = await tx.one<{ definition: string }>(sql`select pg_get_viewdef('user_beginnings') as definition`)
    const slow = definition.replace(/;\s*$/, ' where pg_sleep(20) is not null')
    await tx.run({ name: '', text: `create or replace view user_beginnings as ${slow}`, values: [] })
    const answer = await searchParts(tx, { pattern: '%user4321%', ...noBeginning }, { after: null, limit: 5, trigramsMs: 50 })
    await tx.run({ name: '', text: `create or replace view user_beginnings as ${definition}`, values: [] })
    return answer
  })
  assert.equal(isWalk, true)
  assert.deepEqual(
    rows.map(({ username }) => username),
    ['n4321'],
  )
})

test('the planner is asked, and reads no table', async () => {
  const many = await estimateSearch(db, '%user%')
  const few = await estimateSearch(db, '%user4321%')
  assert.equal(many.users, count)
  assert.ok(many.found > count / 2 && few.found < count / 10, JSON.stringify({ many, few }))
})
