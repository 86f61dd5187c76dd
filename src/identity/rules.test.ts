import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { changeMembers, createGroup, effectiveGroups } from './groups.ts'
import { rulesOfUser } from './rules.ts'
import { createUser } from './users.ts'

const by = { actor: 'tester' }
const now = new Date('2030-01-01T00:00:00Z')
let fresh: FreshDatabase
let db: Database
before(async () => {
  fresh = await freshDatabase()
  db = fresh.db
})
after(() => fresh.drop())

const rule = { kinds: ['*'], namespaces: ['*'], verbs: ['*'] }
const roles = [{ rules: [rule], subjects: { users: [], groups: ['Operators'] } }]

test('a Role reaches the members of its group, by themselves or through a group in it, and nobody else', async () => {
  const [direct, nested, other] = await Promise.all(['direct', 'nested', 'other'].map((username) => createUser(db, { username }, by, now)))
  assert.ok(direct && nested && other)
  await createGroup(db, { name: 'operators', members: ['direct'] }, by, now)
  await createGroup(db, { name: 'shift', members: ['nested'], parents: ['operators'] }, by, now)
  const of = ({ id, username }: { id: string; username: string }) => rulesOfUser(db, roles, { user_id: id, username })
  assert.deepEqual([await of(direct), await of(nested), await of(other)], [[rule], [rule], []])
})

test('no number of other groups hides the one that counts', async () => {
  const user = await createUser(db, { username: 'chief' }, by, now)
  await createGroup(db, { name: 'zz operators', members: ['chief'] }, by, now)
  const heap = await createGroup(db, { name: 'aa heap' }, by, now)
  await db.run(sql`
    with made as (
      insert into groups (group_id, namespace, resource_name, name, name_key, search_text, created_at, updated_at)
      select gen_random_uuid(), 'default', 'heap-' || i, 'aa ' || i, 'aa ' || i, '', ${now}, ${now}
        from generate_series(1, 6000) as i
      returning group_id
    )
    insert into group_parents (group_id, parent_id)
    select ${heap.id}, group_id
      from made`)
  await changeMembers(db, heap.id, { add: ['chief'], remove: [] }, by, now)
  assert.ok(!(await effectiveGroups(db, user.id)).includes('zz operators'), 'the list of names is cut')
  const own = [{ rules: [rule], subjects: { users: [], groups: ['zz operators'] } }]
  assert.deepEqual(await rulesOfUser(db, own, { user_id: user.id, username: 'chief' }), [rule])
})
