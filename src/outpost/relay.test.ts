/** Servers that tell one another by a real Redis, each with a way of its own to one database. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { openRedis } from '#/lib/redis.ts'
import { Secret } from '#/lib/secret.ts'
import { openDatabase, sql } from '#/lib/sql.ts'
import { deafDatabase } from '../../test/support/deaf_database.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { needs } from '../../test/support/needs.ts'
import { type RedisServer, redisServer } from '../../test/support/redis.ts'
import { until } from '../../test/support/signet.ts'
import { openFeed } from './feed.ts'
import type { Message } from './message.ts'

const promised = { withinMs: 2_000, everyMs: 5 }
const soon = { everyMs: 5 }
const issuer = 'https://id.example.com'

describe('servers that share a Redis', needs('redis'), () => {
  let kernel: Kernel
  let server: RedisServer
  const closing: (() => Promise<void> | void)[] = []
  before(async () => {
    kernel = await openKernel(new Date())
    server = await redisServer()
    await server.start()
  })
  after(async () => {
    for (const close of closing.reverse()) await close()
    await server?.kill()
    await kernel?.drop()
  })

  const open = async ({
    rootSecret = kernel.rootSecret,
    clock = () => new Date(),
    url = kernel.url,
  }: {
    rootSecret?: Secret
    clock?: () => Date
    url?: string
  } = {}) => {
    const lines: { event: string; reason?: string; error?: string }[] = []
    const log = openLog('info', { write: (line: string) => void lines.push(JSON.parse(line)) })
    const way = await deafDatabase(url)
    const db = openDatabase({ url: way.url, max: 2, onError: () => {} })
    const redis = await openRedis({ url: new Secret(server.url), log, patienceMs: 500 })
    const feed = await openFeed({ db, log, clock, snapshot: kernel.snapshot, rootSecret, redis })
    const told: Message[] = []
    feed.follow({ tell: (message) => void told.push(message), changed: () => {} })
    let isClosed = false
    const close = async () => {
      if (isClosed) return
      isClosed = true
      feed.close()
      redis.close()
      await db.close()
      way.close()
    }
    closing.push(close)
    await until(() => redis.isConnected(), { everyMs: 5 })
    return {
      feed,
      way,
      redis,
      lines,
      told,
      close,
      sids: () => told.flatMap((message) => (message.type === 'endings' ? message.endings.map(({ sid }) => sid) : [])),
      people: () => told.flatMap((message) => (message.type === 'people' ? [message.user_ids].flat() : [])),
    }
  }

  const end = async (name: string, count = 1) => {
    await kernel.db.run(sql`
      insert into outpost_endings (issuer, sid, ended_at)
      select ${issuer}, ${name} || i, now() from generate_series(1, ${count}::int) i`)
    await kernel.db.run(sql`select pg_notify('outposts', '')`)
  }
  const change = (user_id: string) => kernel.db.run(sql`select pg_notify('people', ${user_id})`)

  /** All that goes over the channels of this Redis from now on. */
  const overhear = async () => {
    const heard: { channel: Buffer; message: Buffer }[] = []
    const ear = server.client().duplicate()
    closing.push(() => ear.disconnect())
    ear.on('pmessageBuffer', (_, channel: Buffer, message: Buffer) => heard.push({ channel, message }))
    await ear.psubscribe('*')
    return heard
  }

  test('one that hears no notice, or has no database, hears within two seconds who changed and what ended', async () => {
    const [one, deaf, cut] = await Promise.all([open(), open(), open()])
    deaf.way.deafen()
    cut.way.cut()
    await end('relayed')
    await change('anna')
    for (const other of [deaf, cut]) {
      await until(() => other.sids().includes('relayed1') && other.people().includes('anna'), promised)
      assert.deepEqual([other.sids(), other.people()], [['relayed1'], ['anna']])
    }
    assert.deepEqual(one.sids(), ['relayed1'])
    await change('*')
    await until(() => deaf.people().includes('*') && cut.people().includes('*'), promised)
    await Promise.all([one.close(), deaf.close(), cut.close()])
  })

  test('a notice that only one server lost is no news of people to the others', async () => {
    const [one, other] = await Promise.all([open(), open()])
    const { rows } = await kernel.db.pool.query(
      // The newest: that of the kernel, which listens too, is older.
      `select pg_terminate_backend(pid) from (
         select pid from pg_stat_activity where application_name = 'signet listen' and datname = current_database()
          order by backend_start desc limit 1) newest`,
    )
    assert.equal(rows.length, 1)
    await until(() => one.people().includes('*') || other.people().includes('*'), soon)
    await end('after')
    await until(() => one.sids().includes('after1') && other.sids().includes('after1'), soon)
    assert.equal([...one.people(), ...other.people()].filter((user_id) => user_id === '*').length, 1)
    await Promise.all([one.close(), other.close()])
  })

  test('what came by Redis is read from the database all the same: nothing in between is passed over', async () => {
    const [one, deaf] = await Promise.all([open(), open()])
    deaf.way.deafen()
    // Written before the one that is told, committed after it.
    const written = Promise.withResolvers<void>()
    const commit = Promise.withResolvers<void>()
    const late = kernel.db.transaction(async (tx) => {
      await tx.run(sql`insert into outpost_endings (issuer, sid, ended_at) values (${issuer}, 'late', now())`)
      written.resolve()
      await commit.promise
    })
    await written.promise
    await end('early')
    await until(() => deaf.sids().includes('early1'), soon)
    const before = deaf.told.findLast((message) => message.type === 'endings')
    commit.resolve()
    await late
    // No notice for the late one. The deaf server's listener returns, and it looks.
    one.feed.close()
    deaf.way.heal()
    await until(() => deaf.sids().includes('late'), { withinMs: 5_000, everyMs: 5 })
    const last = deaf.told.findLast((message) => message.type === 'endings')
    assert.ok(before?.type === 'endings' && last?.type === 'endings' && BigInt(before.seen) < BigInt(last.seen))
    await Promise.all([one.close(), deaf.close()])
  })

  test('thousands that end at once arrive, in messages of no great size, and nothing goes round', async () => {
    const heard = await overhear()
    const [one, other, deaf] = await Promise.all([open(), open(), open()])
    deaf.way.deafen()
    await end('many', 3_000)
    await until(() => new Set(deaf.sids()).size === 3_000, { ...soon, explain: () => `${deaf.sids().length} arrived` })
    assert.equal(deaf.sids().length, 3_000, 'none is told twice')
    assert.ok(heard.every(({ message }) => message.length <= 64 * 1_024))
    const count = heard.length
    await end('last')
    await until(() => deaf.sids().includes('last1'), soon)
    // Those that hear notices both tell of it at most.
    assert.ok(heard.length <= count + 2, `${heard.length - count} messages for one ending`)
    assert.ok(count <= 40, `${count} messages`)
    await Promise.all([one.close(), other.close(), deaf.close()])
  })

  test('Redis reads neither who nor what, and another installation hears nothing', async () => {
    const heard = await overhear()
    const copy = await openKernel(new Date())
    closing.push(() => copy.drop())
    const one = await open()
    const stranger = await open({ rootSecret: new Secret('another root secret of the tests, long enough too') })
    stranger.way.deafen()
    const ofCopy = await open({ url: copy.url })
    await end('secret')
    await change('0b9ddd1e-9a0a-4a9e-9d5e-8f4f9f2d8d11')
    await until(() => heard.length > 0 && one.sids().includes('secret1'), soon)
    const all = Buffer.concat(heard.flatMap(({ channel, message }) => [channel, message])).toString('latin1')
    assert.doesNotMatch(all, /secret1|id\.example|0b9ddd1e/)
    // One message more that is heard by all who would have heard the others.
    await copy.db.run(sql`select pg_notify('people', 'of the copy')`)
    await until(() => ofCopy.people().includes('of the copy'), soon)
    await until(() => new Set(heard.map(({ channel }) => channel.toString())).size === 2, soon)
    assert.deepEqual(
      [ofCopy.sids(), ofCopy.people(), stranger.told, stranger.lines.filter(({ event }) => event.startsWith('outpost.relay'))],
      [[], ['of the copy'], [], []],
    )
    await Promise.all([one.close(), stranger.close(), ofCopy.close()])
  })

  test('garbage, floods, strangers and what was said before do nothing, and the log has a line', async () => {
    const heard = await overhear()
    let now = Date.now()
    const clock = () => new Date(now)
    const [one, deaf] = await Promise.all([open({ clock }), open({ clock })])
    deaf.way.deafen()
    await change('anna')
    await until(() => deaf.people().length === 1 && heard.length > 0, soon)
    const [{ channel, message } = { channel: Buffer.alloc(0), message: Buffer.alloc(0) }] = heard
    const other = await open({ rootSecret: new Secret('another root secret of the tests, long enough too') })
    await change('berta')
    await until(() => deaf.people().length === 2, soon)
    await until(() => heard.some((each) => !each.channel.equals(channel)), soon)
    const strange = heard.find((each) => !each.channel.equals(channel))?.message ?? Buffer.alloc(0)
    const changed = Buffer.from(message)
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    const hostile = [
      Buffer.alloc(0),
      Buffer.from('{}'),
      Buffer.alloc(64 * 1_024, 1),
      Buffer.alloc(4 * 1_024 * 1_024, 1),
      strange,
      changed,
      message.subarray(0, 20),
    ]
    const writer = server.client()
    for (let count = 0; count < 100; count++) for (const each of count < 3 ? hostile : hostile.slice(4)) await writer.publish(channel, each)
    for (let count = 0; count < 100; count++) await writer.publish(channel, message)
    await change('carla')
    await until(() => deaf.people().includes('carla'), soon)
    assert.deepEqual(deaf.people(), ['anna', 'berta', 'carla'])
    // A server that starts later does not know it, but it is old then.
    now += 6 * 60_000
    const later = await open({ clock })
    later.way.deafen()
    await writer.publish(channel, message)
    await change('dora')
    await until(() => later.people().includes('dora'), soon)
    assert.deepEqual(later.people(), ['dora'])
    for (const each of [one, deaf, later])
      assert.deepEqual(
        each.lines.map(({ event }) => event).filter((event) => event !== 'redis.connected'),
        ['outpost.relay.refused'],
      )
    assert.ok(later.lines.some(({ reason }) => reason?.includes('of another time')))
    await Promise.all([one.close(), deaf.close(), other.close(), later.close()])
  })

  test('what is still to be said when a server stops is said', async () => {
    const [one, deaf] = await Promise.all([open(), open()])
    deaf.way.deafen()
    await end('closing')
    await until(() => one.sids().includes('closing1'), { everyMs: 1 })
    await one.close()
    await until(() => deaf.sids().includes('closing1'), promised)
    await deaf.close()
  })
})
