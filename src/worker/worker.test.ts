import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readSettings } from '#/lib/config.ts'
import { sha256 } from '#/lib/crypto.ts'
import { openLog } from '#/lib/log.ts'
import { addTask } from '#/lib/queue.ts'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { uuidv7 } from '#/lib/uuid.ts'
import { insertApiToken } from '#/model/api_tokens.ts'
import { beatWorkerProcess, listOrphanedWorkers, listWorkerProcesses } from '#/model/worker_processes.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { schedule } from './schedule.ts'
import { tasks } from './tasks/index.ts'
import { startWorker } from './worker.ts'

let database: FreshDatabase
before(async () => {
  database = await freshDatabase()
})
after(() => database.drop())

const until = async (look: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 20_000
  while (!(await look())) {
    assert.ok(Date.now() < deadline, 'it came in time')
    await sleep(50)
  }
}

const waiting = async (): Promise<string[]> =>
  (await database.db.any<{ task_identifier: string }>(sql`select task_identifier from graphile_worker.jobs order by id`)).map(
    ({ task_identifier }) => task_identifier,
  )

const start = () =>
  startWorker({
    log: openLog('silent'),
    clock: () => new Date(),
    settings: readSettings({}),
    databaseUrl: database.url,
    rootSecret: new Secret('k'.repeat(48)),
  })

describe('a task', () => {
  test('is queued with its transaction, or not at all', async () => {
    await assert.rejects(
      database.db.transaction(async (tx) => {
        await addTask(tx, 'purge_expired', {})
        throw new Error('no')
      }),
      /no/,
    )
    assert.deepEqual(await waiting(), [])
    const inAnHour = new Date(Date.now() + 3_600_000)
    await database.db.transaction((tx) => addTask(tx, 'purge_expired', {}, { key: 'once', runAt: inAnHour }))
    await addTask(database.db, 'purge_expired', {}, { key: 'once', runAt: inAnHour })
    assert.deepEqual(await waiting(), ['purge_expired'])
  })

  test('every one that is due at a time is one that exists', () => {
    for (const { task } of schedule) assert.ok(task in tasks, task)
  })
})

describe('a worker', () => {
  test('removes what has expired, in batches, and nothing else', async () => {
    const { db } = database
    const now = Date.now()
    const make = (name: string, expires_at: Date) =>
      insertApiToken(db, {
        token_id: uuidv7(new Date()),
        token_hash: sha256(randomBytes(32)),
        name,
        user_id: null,
        scope: { kinds: ['*'], namespaces: ['*'], verbs: ['*'] },
        created_at: new Date(now - 7_200_000),
        expires_at,
      })
    await make('expired', new Date(now - 3_600_000))
    await make('valid', new Date(now + 3_600_000))
    // An hour longer than cookies of outposts live.
    await db.run(sql`
      insert into outpost_endings (issuer, sid, ended_at)
      select 'https://id.example.com', minutes::text, now() - minutes * interval '1 minute' from unnest(array[1, 778, 782]) as minutes`)
    const worker = await start()
    try {
      await addTask(db, 'purge_expired', {})
      const names = async () => (await db.any<{ name: string }>(sql`select name from api_tokens`)).map(({ name }) => name)
      await until(async () => (await names()).length === 1)
      assert.deepEqual(await names(), ['valid'])
      const endings = () => db.any<{ sid: string }>(sql`select sid from outpost_endings order by ending_id`)
      await until(async () => (await endings()).length < 3)
      assert.deepEqual(await endings(), [{ sid: '1' }, { sid: '778' }])
      await addTask(db, 'create_event_partitions', {})
      await addTask(db, 'rotate_signing_keys', {})
      // One is left: that of an hour from now.
      await until(async () => (await waiting()).length === 1)
    } finally {
      await worker.stop()
    }
    assert.deepEqual(await listWorkerProcesses(db), [], 'it took its leave')
  })

  test('that was killed is known by the names under which it holds tasks', async () => {
    const { db } = database
    await beatWorkerProcess(db, 'alive', ['worker-alive'])
    const hold = (id: string, worker: string) =>
      db.run(sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = ${worker} where id = ${id}::bigint`)
    await hold(await addTask(db, 'purge_expired', {}), 'worker-alive')
    await hold(await addTask(db, 'purge_expired', {}), 'worker-gone')
    assert.deepEqual(await listOrphanedWorkers(db), [{ worker_id: 'worker-gone' }])
  })
})
