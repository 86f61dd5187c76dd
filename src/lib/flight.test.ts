import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { fly } from './flight.ts'
import { type Db, lastly, sql } from './sql.ts'
import { command } from './statement.ts'

let fresh: FreshDatabase
let client: pg.PoolClient
before(async () => {
  fresh = await freshDatabase()
  await fresh.db.run(sql`create table flown (n int primary key, made timestamptz)`)
  client = await fresh.db.pool.connect()
})
after(async () => {
  client.release(true)
  await fresh.drop()
})

const stored = async () => (await fresh.db.any<{ n: number }>(sql`select n from flown order by n`)).map(({ n }) => n)
const store = (n: unknown) => sql`insert into flown (n) values (${n})`

test('each statement is answered with its own rows and count, prepared or not yet', async () => {
  for (const round of [1, 2]) {
    const at = new Date('2031-02-03T04:05:06.000Z')
    const [begun, two, none, one, ended] = await fly(client, [
      command('begin'),
      sql`select n, ${at}::timestamptz as at from generate_series(1, 2) n`,
      sql`select 1 as n where false`,
      sql`update flown set n = n where n = ${round}`,
      command('commit'),
    ])
    assert.equal(begun?.command, 'BEGIN')
    assert.deepEqual(
      two?.rows.map((row: object) => ({ ...row })),
      [
        { n: 1, at },
        { n: 2, at },
      ],
    )
    assert.deepEqual([none?.rows, none?.rowCount, one?.rowCount, ended?.command], [[], 0, 0, 'COMMIT'])
  }
})

test('the first error is told, what comes after it is not done, and the connection goes on', async () => {
  await fly(client, [store(1), store(2)])
  await assert.rejects(fly(client, [command('begin'), store(3), store(1), store(4), command('commit')]), { code: '23505' })
  await client.query('rollback')
  assert.deepEqual(await stored(), [1, 2])
  await fly(client, [store(5)])
  assert.deepEqual(await stored(), [1, 2, 5])
})

test('a value that cannot be sent is refused, and the connection goes on', async () => {
  const endless: { self?: unknown } = {}
  endless.self = endless
  await assert.rejects(fly(client, [command('begin'), store(endless)]), /circular/i)
  await client.query('rollback')
  assert.equal((await fly(client, [sql`select 1 as n`]))[0]?.rows[0].n, 1)
})

test('a statement of which the first use fails, or a later one, is used again: in a flight and alone', async () => {
  const divided = (by: number) => sql`select 6 / ${by}::int as n`
  const unknown = () => sql`select * from not_there where n = ${1}::int`
  for (let round = 0; round < 2; round++) {
    await assert.rejects(fly(client, [command('begin'), divided(0), store(40)]), { code: '22012' })
    await client.query('rollback')
    await assert.rejects(fly(client, [command('begin'), unknown()]), { code: '42P01' })
    await client.query('rollback')
    assert.equal((await client.query(divided(2))).rows[0].n, 3)
    assert.equal((await fly(client, [divided(3), sql`select 1`]))[0]?.rows[0].n, 2)
    await assert.rejects(client.query(unknown()), { code: '42P01' })
  }
  await fly(client, [store(40)])
  await fresh.db.run(sql`delete from flown where n = 40`)
})

test('a transaction: what is left for its end is done with the commit, or not at all', async () => {
  await fresh.db.transaction(async (tx) => {
    await lastly(tx, () => store(10))
    assert.equal(await tx.run(store(11)), 1)
    assert.equal((await tx.any(sql`select n from flown where n = 10`)).length, 0)
  })
  await fresh.db.transaction((tx) => lastly(tx, () => store(12)))
  await lastly(fresh.db, () => store(13))
  await assert.rejects(
    fresh.db.transaction(async (tx) => {
      await tx.run(store(14))
      await lastly(tx, () => store(10))
    }),
    { code: '23505' },
  )
  await assert.rejects(
    fresh.db.transaction(async (tx) => {
      await lastly(tx, () => store(15))
      throw new Error('no')
    }),
    /no/,
  )
  assert.deepEqual(await stored(), [1, 2, 5, 10, 11, 12, 13])
})

test('a transaction that goes on after a statement of it has failed is told that nothing of it is there', async () => {
  await assert.rejects(
    fresh.db.transaction(async (tx) => {
      await tx.run(store(20))
      await tx.run(store(1)).catch(() => {})
    }),
    /had failed/,
  )
  assert.equal((await stored()).includes(20), false)
})

test('a statement after the end of its transaction is refused: its connection is another one by then', async () => {
  let late: Db | undefined
  await assert.rejects(
    fresh.db.transaction(async (tx) => {
      late = tx
      throw new Error('no')
    }),
    /no/,
  )
  await assert.rejects(async () => late?.run(store(30)), /after the end/)
  await assert.rejects(async () => late && lastly(late, () => store(30)), /after the end/)
})

test('an error of the first statement says where it was asked', async () => {
  const asking = async () => {
    await fresh.db.transaction((tx) => tx.one(sql`select 3 / ${0}::int`))
  }
  await assert.rejects(asking(), (error: Error) => /asking/.test(error.stack ?? ''))
})

test('a transaction in which nothing is said sends nothing', async () => {
  assert.equal(await fresh.db.transaction(async () => 'nothing'), 'nothing')
})
