import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openPasswordHasher, type PasswordHasher } from '#/identity/passwords.ts'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { applyFirstStart } from './first_start.ts'
import { openSnapshot } from './snapshot.ts'

const now = new Date('2030-01-01T00:00:00Z')
let fresh: FreshDatabase
let passwords: PasswordHasher

before(async () => {
  fresh = await freshDatabase()
  passwords = openPasswordHasher()
})
after(async () => {
  await passwords.close()
  await fresh.drop()
})

const start = () =>
  applyFirstStart(
    {
      db: fresh.db,
      rootSecret: new Secret('a root secret of the tests, long enough to be one'),
      passwords,
      settings: {
        BASE_URL: 'http://localhost:9000',
        BOOTSTRAP_PASSWORD: undefined,
        BOOTSTRAP_TOKEN: new Secret('a-bootstrap-token-of-tests'),
      },
    },
    now,
  )

test('of many first starts at once one makes what is made, and tells the password', async () => {
  const starts = await Promise.all(Array.from({ length: 4 }, start))
  const [made, ...others] = starts.filter((each) => each.made)
  assert.equal(others.length, 0)
  assert.ok((made?.password?.reveal().length ?? 0) >= 20)
  const counts = await fresh.db.one<{ resources: string; users: string; passwords: string; tokens: string }>(sql`
    select (select count(*) from resources) as resources, (select count(*) from users) as users,
           (select count(*) from passwords) as passwords, (select count(*) from api_tokens) as tokens`)
  assert.deepEqual(counts, { resources: '14', users: '1', passwords: '1', tokens: '1' })
})

test('a later start makes nothing, even what was deleted since', async () => {
  await fresh.db.run(sql`delete from resources where kind = 'AuthPolicy'`)
  assert.deepEqual(await start(), { made: false, password: undefined })
  assert.deepEqual(await fresh.db.any(sql`select from resources where kind = 'AuthPolicy'`), [])
})

test('the AuthServer of the first start serves', async () => {
  const snapshot = await openSnapshot({ db: fresh.db, log: openLog('silent') })
  assert.equal(snapshot.authServerFor('localhost:9000', '/')?.issuerUrl, 'http://localhost:9000')
  assert.deepEqual(snapshot.get('Role', 'default', 'admin')?.spec.subjects, { users: ['admin'], groups: [] })
  snapshot.close()
})
