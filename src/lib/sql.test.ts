import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { type Db, openDatabase, readingAlone, sql, withinTime } from './sql.ts'

let fresh: FreshDatabase
before(async () => {
  fresh = await freshDatabase()
})
after(() => fresh.drop())

test('a value never becomes part of the text', async () => {
  const statement = sql`select ${"'; drop table users; --"}::text as said`
  assert.match(statement.text, /select \$1::text/)
  assert.equal((await fresh.db.one<{ said: string }>(statement)).said, "'; drop table users; --")
})

test('one call site is one prepared statement, two are two', () => {
  const ask = (n: number) => sql`select ${n}::int`
  assert.equal(ask(1).name, ask(2).name)
  assert.notEqual(ask(1).name, sql`select ${1}::bigint`.name)
})

test('a transaction is all or nothing, and one inside joins it', async () => {
  await fresh.db.run(sql`create table counted (n int)`)
  await assert.rejects(
    fresh.db.transaction(async (tx) => {
      await tx.transaction((inner) => inner.run(sql`insert into counted values (1)`))
      throw new Error('no')
    }),
    /no/,
  )
  assert.deepEqual(await fresh.db.any(sql`select n from counted`), [])
})

test('work that reads alone sees one moment, and is refused what it would write', async () => {
  await fresh.db.run(sql`create table looked_at as select 1 as n`)
  const seen = await readingAlone(fresh.db, async (tx) => {
    const before = await tx.any(sql`select n from looked_at`)
    await fresh.db.run(sql`insert into looked_at values (2)`)
    assert.deepEqual(await tx.any(sql`select n from looked_at`), before)
    return before
  })
  assert.deepEqual(seen, [{ n: 1 }])
  const write = (tx: Db) => tx.transaction((inner) => inner.run(sql`insert into looked_at values (3)`))
  await assert.rejects(readingAlone(fresh.db, write), { code: '25006' })
  assert.equal(await fresh.db.run(sql`insert into looked_at values (4)`), 1, 'the connection writes again afterwards')
})

test('work that takes longer than its time is undefined, and the transaction around it goes on with the time it had', async () => {
  const timeout = sql`select current_setting('statement_timeout') as ms`
  const answer = await fresh.db.transaction(async (tx) => {
    const before = await tx.one(timeout)
    assert.equal(await withinTime(tx, 20, (inner) => inner.any(sql`select pg_sleep(20)`)), undefined)
    assert.deepEqual(await withinTime(tx, 10_000, (inner) => inner.one(sql`select 1 as n`)), { n: 1 })
    assert.deepEqual(await tx.one(timeout), before)
    return 'on'
  })
  assert.equal(answer, 'on')
  assert.equal(await withinTime(fresh.db, 20, (inner) => inner.any(sql`select pg_sleep(20)`)), undefined)
  await assert.rejects(
    withinTime(fresh.db, 10_000, (inner) => inner.any(sql`select 1 / 0`)),
    /division by zero/,
  )
})

test('the pool and the listener come back when PostgreSQL ends their connections', async () => {
  const errors: Error[] = []
  const db = openDatabase({ url: fresh.url, onError: (error) => errors.push(error) })
  const heard: string[] = []
  const first = Promise.withResolvers<void>()
  const again = Promise.withResolvers<void>()
  await db.listen('told', (payload) => {
    heard.push(payload)
    if (payload === '') again.resolve()
    else first.resolve()
  })
  await fresh.db.run(sql`select pg_notify('told', 'before')`)
  await first.promise
  await fresh.db.run(
    sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name like 'signet%'`,
  )
  await again.promise
  await fresh.db.run(sql`select pg_notify('told', 'after')`)
  for (let i = 0; i < 100 && !heard.includes('after'); i++) await db.one(sql`select pg_sleep(0.02)`)
  assert.deepEqual(heard, ['before', '', 'after'])
  assert.ok(errors.length > 0)
  await db.close()
})

test('who listened before is told of the gap, also when someone new makes the listener connect again', async () => {
  const db = openDatabase({ url: fresh.url })
  const heard: string[] = []
  await db.listen('told', (payload) => heard.push(payload))
  const listening = () =>
    fresh.db.any(sql`select from pg_stat_activity where datname = current_database() and application_name = 'signet listen'`)
  await fresh.db.run(
    sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'signet listen'`,
  )
  for (let tries = 0; tries < 200 && (await listening()).length > 0; tries++) await delay(5)
  // Before the next try of its own.
  await delay(50)
  await fresh.db.run(sql`select pg_notify('told', 'in the gap')`)
  await db.listen('else', () => {})
  assert.deepEqual(heard, [''])
  await delay(700)
  assert.deepEqual(heard, [''])
  await db.close()
})

test('while PostgreSQL is away the listener tries again at its own pace, and no faster', async () => {
  let tries = 0
  const away = createServer((socket) => {
    tries += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => away.listen(0, '127.0.0.1', resolve))
  const { port } = away.address() as AddressInfo
  const lost: string[] = []
  const db = openDatabase({ url: `postgresql://nobody@127.0.0.1:${port}/none`, onError: ({ message }) => lost.push(message) })
  await assert.rejects(db.listen('told', () => {}))
  await delay(3_600)
  await db.close()
  const seen = tries
  // One at first, then one each half second.
  assert.ok(seen >= 3 && seen <= 9, `${seen} tries`)
  await delay(1_200)
  assert.equal(tries, seen)
  assert.ok(lost.length <= seen)
  away.close()
})
