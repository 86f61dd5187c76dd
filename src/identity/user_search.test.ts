import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { parseSearch, searchText } from './search_text.ts'
import { type Position, searchUsers } from './user_search.ts'

/** Username, address, name; in the order of their making. */
const people: [string, string | null, string | null][] = [
  ['hannah', 'hannah@anna.example', 'Hannah Smith'],
  ['zoe', 'anna.k@mail.example', 'Zoë Kline'],
  ['anna.smith', 'anna.smith@mail.example', 'Anna Smith'],
  ['bob', 'bob@mail.example', 'Bob Annable'],
  ['annä', null, null],
  ['e1', 'e1@mail.example', 'Anna 50%_Off'],
  ['joanna', null, 'Jo Anna van der Annan'],
  ['e2', 'e2@mail.example', 'Anna Smithers'],
  ['anna', 'a@mail.example', 'Somebody Else'],
  ['e3', 'e3@mail.example', 'Anna Smith'],
  ['e4', null, `Annapurna ${'Long'.repeat(60)}`],
]
let fresh: FreshDatabase
let db: Database
before(async () => {
  fresh = await freshDatabase()
  db = fresh.db
  for (const [index, [username, email, name]] of people.entries())
    await db.run(sql`
      insert into users (user_id, namespace, resource_name, username, username_key, email, email_key, name, search_text, created_at, updated_at)
      values (lpad(to_hex(${index}::int + 1), 32, '0')::uuid, 'default', ${username}, ${username}, ${username}, ${email}, ${email}, ${name},
              ${searchText(username, email, name)}, now(), now())`)
  await db.run(sql`analyze users`)
})
after(() => fresh.drop())

type Options = Omit<Parameters<typeof searchUsers>[3], 'after' | 'limit'>

const pages = async (q: string, limit: number, options: Options): Promise<string[][]> => {
  const part = parseSearch(q)
  assert.ok(part.kind === 'part')
  const found: string[][] = []
  let at: Position | undefined
  for (let i = 0; i < 200; i++) {
    const { rows, next } = await searchUsers(db, q, part, { after: at, limit, ...options })
    assert.ok(rows.length <= limit)
    found.push(rows.map(({ username }) => username))
    if (!next) return found
    at = next
  }
  throw new Error('the pages do not end')
}

/** Username, address, name, last name, domain; then the rest in the order of making. */
const found: [string, string[]][] = [
  ['anna', ['anna', 'anna.smith', 'zoe', 'annä', 'e1', 'e3', 'e2', 'e4', 'bob', 'joanna', 'hannah']],
  ['@MAIL.ex', ['zoe', 'anna.smith', 'bob', 'e1', 'e2', 'anna', 'e3']],
  ['ANNA.SMITH', ['anna.smith']],
  ['anna smith', ['anna.smith', 'e3', 'e2']],
  ['smith', ['hannah', 'anna.smith', 'e3', 'e2']],
  ['annä', ['annä', 'e1', 'anna.smith', 'e3', 'e2', 'e4', 'bob', 'joanna', 'hannah', 'zoe', 'anna']],
  ['mail.example', ['zoe', 'anna.smith', 'bob', 'e1', 'e2', 'anna', 'e3']],
  ['50%_off', ['e1']],
  ['anna_smith', []],
  ['van der', ['joanna']],
  [`annapurna ${'long'.repeat(60)}`, ['e4']],
  ['nobody', []],
]

const ways: [string, Options][] = [
  ['as few', {}],
  ['as among many', { fewUsers: 0 }],
  ['walking a few at a time', { fewUsers: 0, walks: [2], trigramsMs: 1 }],
  ['stopping where many were shown before', { fewUsers: 0, further: [] }],
]

for (const [q, expected] of found)
  for (const [how, options] of ways)
    test(`${JSON.stringify(q.slice(0, 20))} finds who begins so, then the others, each once, ${how}`, async () => {
      for (const limit of [1, 2, 3, 50]) assert.deepEqual((await pages(q, limit, options)).flat(), expected)
    })

test('among many, who begins so is answered before the others are looked for', async () => {
  assert.deepEqual((await pages('anna smith', 50, { fewUsers: 0 }))[0], ['anna.smith', 'e3', 'e2'])
  assert.deepEqual(await pages('anna smith', 50, {}), [['anna.smith', 'e3', 'e2']])
})

test('a name too long for the index is found, and nobody is refused for it', async () => {
  assert.deepEqual((await pages('LongLong', 5, { fewUsers: 0 })).flat(), ['e4'])
})
