import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { makeAuthority } from '../../test/support/authority.ts'
import { needs } from '../../test/support/needs.ts'
import { type RedisServer, redisServer } from '../../test/support/redis.ts'
import { until } from '../../test/support/signet.ts'
import { openLog } from './log.ts'
import { openRedis, type Redis } from './redis.ts'
import { Secret } from './secret.ts'

const opened: { close(): void }[] = []
const servers: RedisServer[] = []
after(async () => {
  for (const one of opened) one.close()
  for (const server of servers) await server.kill()
})

const server = async (options?: Parameters<typeof redisServer>[0]) => {
  const made = await redisServer(options)
  servers.push(made)
  return made
}

const open = async (url: string) => {
  const lines: { event: string; reason?: string; level: string }[] = []
  let text = ''
  const log = openLog('info', {
    write: (line: string) => {
      text += line
      lines.push(JSON.parse(line))
    },
  })
  const redis = await openRedis({ url: new Secret(url), log, patienceMs: 500 })
  opened.push(redis)
  const heard: string[] = []
  let backs = 0
  redis.subscribe('news', {
    heard: (message) => heard.push(message.toString()),
    back: () => {
      backs++
    },
  })
  return { redis, heard, lines, log: () => text, backs: () => backs, events: () => lines.map(({ event }) => event) }
}

const connected = (redis: Redis) => until(() => redis.isConnected(), { everyMs: 5 })

/** Answers each command by what `answers` says for its name, else as Redis answers most; where there is nothing said at all, nothing. */
const impostor = async (answers?: Record<string, (socket: Socket) => void>) => {
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (asked) => {
      if (!answers) return
      for (const [, name = ''] of asked.toString().matchAll(/^\*\d+\r\n\$\d+\r\n(\w+)/gm)) {
        const answer = answers[name.toLowerCase()]
        if (answer) answer(socket)
        else socket.write('+OK\r\n')
      }
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  opened.push({
    close: () => {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  })
  return { port: (listener.address() as AddressInfo).port, sockets }
}

describe('Redis', needs('redis'), () => {
  test('what one says all hear, with a password that has everything special', async () => {
    const { url, start } = await server({ password: 'p@ss:/?#[] %41' })
    await start()
    const [one, other] = await Promise.all([open(url), open(url)])
    await Promise.all([connected(one.redis), connected(other.redis)])
    one.redis.publish('news', Buffer.from('first'))
    one.redis.publish('others', Buffer.from('not for us'))
    one.redis.publish('news', Buffer.from('second'))
    await until(() => one.heard.length === 2 && other.heard.length === 2, { everyMs: 5 })
    assert.deepEqual(
      [one.heard, other.heard],
      [
        ['first', 'second'],
        ['first', 'second'],
      ],
    )
    assert.deepEqual(one.events(), ['redis.connected'])
  })

  test('one that is not there, comes, is killed and comes back: a line each time, and it is heard again', async () => {
    const redis = await server()
    const { redis: one, heard, events, backs } = await open(redis.url)
    one.publish('news', Buffer.from('lost'))
    await until(() => events().length > 0, { everyMs: 5 })
    await redis.start()
    await connected(one)
    assert.deepEqual(events(), ['redis.away', 'redis.back'])
    await redis.kill()
    await until(() => !one.isConnected(), { everyMs: 5 })
    one.publish('news', Buffer.from('lost'))
    await redis.start()
    await connected(one)
    one.publish('news', Buffer.from('heard'))
    await until(() => heard.length > 0, { everyMs: 5 })
    assert.deepEqual([heard, backs()], [['heard'], 2])
    // It had been said less than a minute before that Redis is away.
    assert.equal(events().filter((event) => event === 'redis.away').length, 1)
  })

  test('one that stands still is found out, and what is said to it is bounded', { timeout: 30_000 }, async () => {
    const redis = await server()
    await redis.start()
    const { redis: one, heard, lines } = await open(redis.url)
    await connected(one)
    redis.freeze()
    const before = process.memoryUsage().arrayBuffers
    for (let count = 0; count < 2_000; count++) one.publish('news', Buffer.alloc(64 * 1_024))
    assert.ok(process.memoryUsage().arrayBuffers - before < 200 * 1_024 * 1_024)
    await until(() => !one.isConnected(), { everyMs: 20 })
    await until(() => lines.some(({ reason }) => reason === 'it does not answer'))
    redis.resume()
    await connected(one)
    one.publish('news', Buffer.from('after'))
    await until(() => heard.at(-1) === 'after', { everyMs: 5 })
  })

  test('over TLS, once its certificate is known', async (t) => {
    const { ca, issue } = await makeAuthority(new Date())
    const { cert, key } = await issue('localhost')
    const folder = mkdtempSync(join(tmpdir(), 'signet-redis-'))
    t.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'cert'), cert)
    writeFileSync(join(folder, 'key'), key)
    const { port, start } = await server({ tls: { cert: join(folder, 'cert'), key: join(folder, 'key') } })
    await start()
    const { redis, lines } = await open(`rediss://localhost:${port}`)
    await until(() => lines.length > 0, { everyMs: 5 })
    assert.deepEqual([lines[0]?.event, lines[0]?.reason], ['redis.away', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
    const known = getCACertificates('default')
    setDefaultCACertificates([...known, ca])
    t.after(() => setDefaultCACertificates(known))
    await connected(redis)
    const byNumber = await open(`rediss://127.0.0.1:${port}`)
    await until(() => byNumber.lines.length > 0, { everyMs: 5 })
    assert.equal(byNumber.lines[0]?.reason, 'ERR_TLS_CERT_ALTNAME_INVALID')
  })

  test('a user who may do no more than the guide says is enough, and one who may not listen is refused', async () => {
    const rights = ['-@all', '+subscribe', '+unsubscribe', '+publish', '+ping', '+client|setname']
    const { port, start } = await server({
      args: [
        ...['--user', 'signet', 'on', '>secret', 'resetchannels', '&news', ...rights],
        ...['--user', 'elsewhere', 'on', '>secret', 'resetchannels', '&others', ...rights],
      ],
    })
    await start()
    const { redis, heard, events } = await open(`redis://signet:secret@127.0.0.1:${port}`)
    await connected(redis)
    redis.publish('news', Buffer.from('heard'))
    await until(() => heard.length === 1, { everyMs: 5 })
    assert.deepEqual(events(), ['redis.connected'])
    const other = await open(`redis://elsewhere:secret@127.0.0.1:${port}`)
    await until(() => other.lines.length > 0, { everyMs: 5 })
    assert.deepEqual([other.lines[0]?.event, other.lines[0]?.reason], ['redis.refused', 'it answers NOPERM'])
  })

  test('a wrong password is said, and not what it is', async () => {
    const { port, start } = await server({ password: 'right' })
    await start()
    const { redis, lines, log } = await open(`redis://:xyzzy@127.0.0.1:${port}`)
    await until(() => lines.length > 0, { everyMs: 5 })
    assert.deepEqual([lines[0]?.event, lines[0]?.reason, redis.isConnected()], ['redis.refused', 'it answers WRONGPASS', false])
    assert.doesNotMatch(log(), /xyzzy/)
  })
})

test('an answer that repeats the password does not come into the log', async () => {
  const { port } = await impostor({
    hello: (socket) => socket.write("-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'xyzzy'\r\n"),
    auth: (socket) => socket.write("-ERR unknown command 'AUTH', with args beginning with: 'xyzzy'\r\n"),
  })
  const { lines, log } = await open(`redis://:xyzzy@127.0.0.1:${port}`)
  await until(() => lines.length > 0, { everyMs: 5 })
  assert.equal(lines[0]?.event, 'redis.refused')
  assert.doesNotMatch(log(), /xyzzy/)
})

test('whoever listens while the connection begins listens', { timeout: 10_000 }, async () => {
  const { promise: asked, resolve: subscribed } = Promise.withResolvers<void>()
  let begins = () => {}
  const { port } = await impostor({
    hello: (socket) => socket.write('%0\r\n'),
    ping: (socket) => {
      begins()
      socket.write('+PONG\r\n')
    },
    subscribe: (socket) => {
      socket.write('>3\r\n$9\r\nsubscribe\r\n$4\r\nlate\r\n:1\r\n')
      subscribed()
    },
  })
  const redis = await openRedis({ url: new Secret(`redis://127.0.0.1:${port}`), log: openLog('silent') })
  opened.push(redis)
  begins = () => {
    begins = () => {}
    redis.subscribe('late', { heard: () => {}, back: () => {} })
  }
  await asked
})

test('one from before RESP3 is not taken', async () => {
  const { port } = await impostor({
    hello: (socket) => socket.write("-ERR unknown command 'HELLO'\r\n"),
    subscribe: (socket) => socket.write('*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n'),
    ping: (socket) => socket.write('*2\r\n$4\r\npong\r\n$0\r\n\r\n'),
  })
  const { lines } = await open(`redis://127.0.0.1:${port}`)
  await until(() => lines.length > 0, { everyMs: 5 })
  assert.equal(lines[0]?.reason, 'it is older than Redis 6')
})

test('one that never answers is given up after seconds, and closed at once', { timeout: 20_000 }, async () => {
  const { port, sockets } = await impostor()
  const { redis, lines } = await open(`redis://127.0.0.1:${port}`)
  await until(() => lines.length > 0, { everyMs: 20 })
  assert.equal(lines[0]?.reason, 'it does not answer')
  await until(() => sockets.size > 1)
  redis.close()
  await until(() => [...sockets].every(({ readableEnded, destroyed }) => readableEnded || destroyed), { withinMs: 1_500 })
})

test('answers that no Redis gives end the connection and nothing else', async () => {
  const shapes: Record<string, string>[] = [
    { hello: '*1\r\n'.repeat(1_000_000) },
    { hello: '*4294967295\r\n' },
    { hello: '+OK\r\n'.repeat(10_000) },
    { hello: 'HTTP/1.1 400 Bad Request\r\n\r\n' },
    { hello: '>1\r\n$-1\r\n' },
    { hello: '>1\r\n_\r\n' },
    { subscribe: '+OK\r\n' },
    { subscribe: '*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n' },
    { subscribe: '>2\r\n$9\r\nsubscribe\r\n_\r\n' },
    { subscribe: '>3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n>3\r\n$7\r\nmessage\r\n_\r\n_\r\n' },
    { subscribe: '>3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n_\r\n' },
  ]
  for (const shape of shapes) {
    const answers = Object.entries(shape).map(([name, answer]) => [name, (socket: Socket) => socket.end(answer)] as const)
    const { port } = await impostor({ hello: (socket) => socket.write('%0\r\n'), ...Object.fromEntries(answers) })
    const { redis, lines } = await open(`redis://127.0.0.1:${port}`)
    await until(() => lines.length > 0, { everyMs: 5, explain: () => JSON.stringify(shape).slice(0, 100) })
    assert.equal(lines[0]?.event, 'redis.away', JSON.stringify(shape).slice(0, 100))
    redis.close()
  }
})

test('a message without end is not kept', { timeout: 20_000 }, async () => {
  let sent = 0
  const { port } = await impostor({
    hello: (socket) => socket.write('%0\r\n'),
    subscribe: (socket) => socket.write('>3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n'),
    ping: (socket) => {
      socket.write('+PONG\r\n>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$500000000\r\n')
      const more = () => {
        while (!socket.destroyed && sent < 500_000_000) {
          sent += 65_536
          if (!socket.write(Buffer.alloc(65_536))) return socket.once('drain', more)
        }
      }
      more()
    },
  })
  const { lines } = await open(`redis://127.0.0.1:${port}`)
  await until(() => lines.some(({ event }) => event === 'redis.away'), { everyMs: 5 })
  assert.match(lines.find(({ event }) => event === 'redis.away')?.reason ?? '', /more than was asked for/)
  assert.ok(sent < 64 * 1_024 * 1_024, `${sent} bytes were sent`)
})
