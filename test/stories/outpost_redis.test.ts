/** Two servers that share a database and a Redis: what one hears the other hears too, whatever becomes of its connections. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { type FreshDatabase, freshDatabase } from '../support/database.ts'
import { type DeafDatabase, deafDatabase } from '../support/deaf_database.ts'
import { openGuest, signIn, startUpstream, type Upstream } from '../support/guarded.ts'
import { needs } from '../support/needs.ts'
import { type RedisServer, redisServer } from '../support/redis.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

const password = 'correct horse battery'
const promised = { withinMs: 2_000, everyMs: 20 }

const gauge = async ({ metricsPort }: Signet) =>
  /^signet_redis_connected (\d)$/m.exec(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text())?.[1]
const ready = ({ port }: Signet) => fetch(`http://127.0.0.1:${port}/-/health/ready`).then(({ status }) => status)

describe('servers that share a Redis', needs('redis'), () => {
  let database: FreshDatabase
  let way: DeafDatabase
  let redis: RedisServer
  let upstream: Upstream
  let hearing: Signet
  let other: Signet
  const people: Record<string, string> = {}
  const host = () => `wiki.localhost:${hearing.port}`

  before(async () => {
    ;[database, redis, upstream] = await Promise.all([freshDatabase(), redisServer({ password: 'between servers' }), startUpstream()])
    await redis.start()
    way = await deafDatabase(database.url)
    const same = {
      SECRET_KEY: randomBytes(36).toString('base64'),
      BOOTSTRAP_TOKEN: randomBytes(24).toString('base64url'),
      REDIS_URL: redis.url,
    }
    hearing = await startSignet({ command: 'server', databaseUrl: database.url, settings: same })
    other = await startSignet({ command: 'server', databaseUrl: way.url, settings: { ...same, BASE_URL: hearing.issuer } })
    const rest = (method: string, path: string, body: unknown) =>
      hearing.api<{ id: string }>(method, path, body, { token: same.BOOTSTRAP_TOKEN })
    for (const username of ['anna', 'bert', 'carl', 'dora']) {
      const { id } = (await rest('POST', '/api/v1/users', { username, email: `${username}@example.com`, emailVerified: true })).body
      await rest('POST', `/api/v1/users/${id}/password`, { password })
      people[username] = id
    }
    const applied = await rest(
      'POST',
      '/api/v1/apply',
      `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: wiki, namespace: default }
spec:
  displayName: Wiki
  authServerRef: { name: default }
  proxy: { mode: proxy, externalUrl: 'http://${host()}', upstreamUrl: 'http://127.0.0.1:${upstream.port}' }
`,
    )
    assert.equal(applied.status, 200, applied.text)
    await until(async () => (await gauge(hearing)) === '1' && (await gauge(other)) === '1')
  })
  after(async () => {
    await other?.stop()
    await hearing?.stop()
    way?.close()
    await redis?.kill()
    await upstream?.stop()
    await database?.drop()
  })

  const signedIn = async (username: string) => {
    const guest = openGuest(other.port)
    await until(async () => (await guest.open(host(), '/outpost.signet/start')).status === 302)
    await signIn(hearing, guest, { host: host(), start: '/outpost.signet/start', answers: { username, password } })
    assert.equal((await guest.open(host(), '/')).status, 200)
    return async () => (await guest.open(host(), '/')).status
  }
  const told = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await hearing.api(method, path, body, { token: hearing.env.SIGNET_BOOTSTRAP_TOKEN ?? '' })
    assert.ok(status < 300, text)
  }

  test('where no notice arrives an ended session and a closed account are refused within two seconds', async () => {
    const [anna, bert] = [await signedIn('anna'), await signedIn('bert')]
    way.deafen()
    await told('DELETE', `/api/v1/users/${people.anna}/sessions`)
    await until(async () => (await anna()) === 302, promised)
    assert.equal(await bert(), 200)
    await told('PATCH', `/api/v1/users/${people.bert}`, { active: false })
    await until(async () => (await bert()) === 302, promised)
  })

  test('also where the database is out of reach', async () => {
    way.heal()
    const carl = await signedIn('carl')
    way.cut()
    assert.equal(await carl(), 200)
    await told('PATCH', `/api/v1/users/${people.carl}`, { active: false })
    await until(async () => (await carl()) === 302, promised)
    way.heal()
    await until(async () => (await ready(other)) === 200)
  })

  test('Redis is killed and comes back: nothing fails meanwhile, and then it is heard again', async () => {
    await redis.kill()
    await until(async () => (await gauge(hearing)) === '0' && (await gauge(other)) === '0')
    assert.deepEqual([await ready(hearing), await ready(other)], [200, 200])
    const dora = await signedIn('dora')
    await told('DELETE', `/api/v1/users/${people.dora}/sessions`)
    await until(async () => (await dora()) === 302, { ...promised, explain: () => 'by notice it did not come' })
    const again = await signedIn('dora')
    await redis.start()
    await until(async () => (await gauge(hearing)) === '1' && (await gauge(other)) === '1')
    way.deafen()
    await told('DELETE', `/api/v1/users/${people.dora}/sessions`)
    await until(async () => (await again()) === 302, promised)
    for (const server of [hearing, other]) {
      await until(() => server.logs().includes('"event":"redis.back"'))
      assert.equal(server.logs().split('"event":"redis.away"').length - 1, 1)
      assert.doesNotMatch(server.logs(), /between( |%20)servers/)
    }
  })
})

describe('a Redis that is no help', needs('redis'), () => {
  test('absent, or accepting and silent, it delays neither the start nor the end', async (t) => {
    const redis = await redisServer()
    t.after(() => redis.kill())
    const signet = await startSignet({ command: 'server', settings: { REDIS_URL: redis.url } })
    t.after(() => signet.stop())
    await until(() => signet.logs().includes('"event":"redis.away"'))
    await redis.start()
    await until(async () => (await gauge(signet)) === '1')
    redis.freeze()
    const stopped = await signet.kill('SIGTERM')
    assert.deepEqual([stopped.code, stopped.afterMs < 5_000], [0, true], `${stopped.code} after ${stopped.afterMs} ms`)
    await signet.restart()
    assert.equal(await gauge(signet), '0')
    const again = await signet.kill('SIGTERM')
    assert.deepEqual([again.code, again.afterMs < 5_000], [0, true], `${again.code} after ${again.afterMs} ms`)
  })
})
