import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { sql } from '#/lib/sql.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { type Feed, openFeed } from './feed.ts'
import type { Message } from './message.ts'
import { openStream } from './stream.ts'

let kernel: Kernel
let feed: Feed
const log = openLog('silent')
before(async () => {
  kernel = await openKernel(new Date())
  feed = await openFeed({ ...kernel, log, clock: () => new Date() })
})
after(async () => {
  feed.close()
  await kernel.drop()
})

/** So many sessions end, each with a name of that length at least. */
const endSessions = async (name: string, count = 1, length = 0) => {
  await kernel.db.run(sql`
    insert into outpost_endings (issuer, sid, ended_at)
    select 'https://id.example.com', ${name} || i || repeat('x', ${length}::int), now() from generate_series(1, ${count}::int) i`)
  await kernel.db.run(sql`select pg_notify('outposts', '')`)
}

const open = ({ stopping = new AbortController().signal, closed = () => {}, from = feed, after: seen = '0' } = {}) =>
  openStream({ feed: from, log, version: '1.2.3', stopping, mayGoOn: async () => true }, { outpost: 'default/edge', after: seen, closed })

const read = async (stream: ReturnType<typeof open>, until: (messages: Message[]) => boolean): Promise<Message[]> => {
  const messages: Message[] = []
  let rest = ''
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    messages.push(...lines.map((line) => JSON.parse(line) as Message))
    if (until(messages)) break
  }
  return messages
}
const sids = (messages: Message[]) =>
  messages.flatMap((message) => (message.type === 'endings' ? message.endings.map(({ sid }) => sid) : []))

test('an outpost is told where things are, what it missed, and then what comes', async () => {
  await endSessions('missed')
  const stream = open()
  const first = await read(stream, (found) => found.some(({ type }) => type === 'current'))
  assert.deepEqual(
    first.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]),
    ['hello', 'applications', 'people', 'endings', 'current'],
  )
  assert.deepEqual(sids(first), ['missed1'])
  await endSessions('later')
  assert.ok(sids(await read(stream, (found) => sids(found).includes('later1'))))
  stream.destroy()
})

test('what ended longer ago than cookies live is still told for an hour, since clocks differ', async () => {
  for (const [sid, minutes] of [
    ['old', 12 * 60 + 58],
    ['too-old', 12 * 60 + 62],
  ] as const)
    await kernel.db.run(sql`
      insert into outpost_endings (issuer, sid, ended_at)
      values ('https://id.example.com', ${sid}, now() - ${minutes}::integer * interval '1 minute')`)
  const stream = open()
  const told = sids(await read(stream, (found) => found.some(({ type }) => type === 'current')))
  assert.deepEqual([told.includes('old'), told.includes('too-old')], [true, false])
  stream.destroy()
})

test('one that has seen more than there is, is told all there is', async () => {
  const stream = open({ after: '900000000' })
  const messages = await read(stream, (found) => found.some(({ type }) => type === 'current'))
  assert.ok(sids(messages).includes('missed1'))
  stream.destroy()
})

test('it ends when the server stops', async () => {
  const stopping = new AbortController()
  let isClosed = false
  const stream = open({
    stopping: stopping.signal,
    closed: () => {
      isClosed = true
    },
  })
  stopping.abort()
  await read(stream, () => false)
  assert.ok(stream.readableEnded)
  if (!stream.closed) await once(stream, 'close')
  assert.ok(isClosed)
})

test('one that does not read is closed all the same when it has ended', { timeout: 20_000 }, async () => {
  const stopping = new AbortController()
  const { promise, resolve: closed } = Promise.withResolvers<void>()
  const stream = open({ stopping: stopping.signal, closed })
  stopping.abort()
  await promise
  assert.ok(stream.destroyed && !stream.readableEnded)
})

test('what is written before others and committed after them is told', async () => {
  const written = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const late = kernel.db.transaction(async (tx) => {
    await tx.run(sql`insert into outpost_endings (issuer, sid, ended_at) values ('https://id.example.com', 'late', now())`)
    written.resolve()
    await commit.promise
    await tx.run(sql`select pg_notify('outposts', '')`)
  })
  await written.promise
  const stream = open()
  await endSessions('before', 1_500)
  const first = await read(stream, (found) => sids(found).includes('before1500'))
  const seen = first.findLast((message) => message.type === 'endings')?.seen ?? ''
  assert.ok(!sids(first).includes('late'))
  commit.resolve()
  await late
  assert.ok(sids(await read(stream, (found) => sids(found).includes('late'))))
  stream.destroy()
  const again = open({ after: seen })
  assert.ok(
    sids(await read(again, (found) => found.some(({ type }) => type === 'current'))).includes('late'),
    'nor is it missed by one that comes back',
  )
  again.destroy()
})

test('one that does not read is cut off before it fills the memory', { timeout: 60_000 }, async () => {
  const stream = open()
  await read(stream, (found) => found.some(({ type }) => type === 'current'))
  const gone = once(stream, 'close')
  await endSessions('many', 120_000, 400)
  await gone
  assert.ok(stream.destroyed)
})

test('of what was missed no more is read than the outpost takes', { timeout: 60_000 }, async () => {
  // One that has told all of it already.
  const from = await openFeed({ ...kernel, log, clock: () => new Date() })
  const stream = open({ from })
  let read = 0
  let most = 0
  let listeners = 0
  for await (const chunk of stream.iterator({ destroyOnReturn: true })) {
    most = Math.max(most, stream.readableLength)
    read += (chunk as Buffer).length
    listeners = Math.max(listeners, stream.listenerCount('close'))
    if (String(chunk).endsWith('{"type":"current"}\n')) break
  }
  from.close()
  assert.ok(read > 32 * 1_024 * 1_024, `${read} bytes were missed`)
  assert.ok(most < 4 * 1_024 * 1_024, `${most} bytes waited`)
  assert.ok(listeners < 6, `${listeners} waited for its end`)
})
