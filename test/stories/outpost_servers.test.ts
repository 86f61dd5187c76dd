/** An outpost that runs by itself, and several servers behind one address. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type FreshDatabase, freshDatabase } from '../support/database.ts'
import { ask, openGuest, signIn, startUpstream, type Upstream } from '../support/guarded.ts'
import { freePort } from '../support/postgres.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

const password = 'correct horse battery'

describe('an outpost of several servers', () => {
  let database: FreshDatabase
  const servers: Signet[] = []
  let outpost: Signet
  let upstream: Upstream
  let front: Server
  let port: number
  let anna: string
  const host = () => `wiki.localhost:${port}`
  const alive = () => servers.filter((server) => server.isAlive())

  before(async () => {
    database = await freshDatabase()
    upstream = await startUpstream()
    port = await freePort()
    let turn = 0
    // As any that spreads connections: each goes to the next server that lives.
    front = createServer((socket) => {
      const live = alive()
      const out = connect(live[turn++ % Math.max(1, live.length)]?.port ?? 1, '127.0.0.1')
      for (const [one, other] of [
        [socket, out],
        [out, socket],
      ] as const) {
        one.pipe(other)
        one.on('error', () => other.destroy())
        one.on('close', () => other.destroy())
      }
    })
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
    const address = `http://localhost:${(front.address() as AddressInfo).port}`
    const same = {
      BASE_URL: address,
      SECRET_KEY: randomBytes(36).toString('base64'),
      BOOTSTRAP_TOKEN: randomBytes(24).toString('base64url'),
    }
    for (let index = 0; index < 2; index++)
      servers.push(await startSignet({ command: 'server', databaseUrl: database.url, settings: same }))
    const [server] = servers as [Signet, Signet]
    const rest: Signet['api'] = (method, path, body) => server.api(method, path, body, { token: same.BOOTSTRAP_TOKEN })
    anna = (await rest<{ id: string }>('POST', '/api/v1/users', { username: 'anna', email: 'anna@example.com', emailVerified: true })).body
      .id
    await rest('POST', `/api/v1/users/${anna}/password`, { password })
    const applied = await rest(
      'POST',
      '/api/v1/apply',
      `
apiVersion: signet.dev/v1alpha1
kind: Outpost
metadata: { name: edge, namespace: default }
spec: {}
---
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: wiki, namespace: default }
spec:
  displayName: Wiki
  authServerRef: { name: default }
  proxy: { mode: proxy, externalUrl: 'http://${host()}', upstreamUrl: 'http://127.0.0.1:${upstream.port}', outpostRef: { name: edge } }
`,
    )
    assert.equal(applied.status, 200, applied.text)
    outpost = await startSignet({
      command: 'outpost',
      databaseUrl: '',
      settings: {
        DATABASE_URL: undefined,
        SECRET_KEY: undefined,
        BOOTSTRAP_TOKEN: undefined,
        BOOTSTRAP_PASSWORD: undefined,
        BASE_URL: undefined,
        PORT: String(port),
        SERVER: address,
        TOKEN: same.BOOTSTRAP_TOKEN,
      },
    })
  })
  after(async () => {
    await outpost?.stop()
    for (const server of servers) await server.stop()
    front?.close()
    await upstream?.stop()
    await database?.drop()
  })

  /** As one server alone says it. */
  const instancesAt = async (server: Signet) => {
    const answer = await ask(server.port, new URL(server.issuer).host, '/api/v1/outposts', {
      headers: { authorization: `Bearer ${server.env.SIGNET_BOOTSTRAP_TOKEN}` },
    })
    return (JSON.parse(answer.body) as { items: { instances: { id: string; isConnected: boolean }[] }[] }).items[0]?.instances ?? []
  }
  const signedIn = async () => {
    const guest = openGuest(port)
    const [server] = alive() as [Signet]
    await signIn(server, guest, { host: host(), start: '/outpost.signet/start', answers: { username: 'anna', password } })
    return guest
  }

  test('each server shows it, whichever it is connected to', async () => {
    await until(async () => (await instancesAt(servers[0] as Signet)).some((each) => each.isConnected))
    const [one, other] = await Promise.all(servers.map(instancesAt))
    assert.equal(one?.length, 1)
    assert.deepEqual(
      other?.map(({ id, isConnected }) => [id, isConnected]),
      one?.map(({ id, isConnected }) => [id, isConnected]),
    )
  })

  test('when the server that it is connected to is killed another one takes it, and tells it of endings', async () => {
    const guest = await signedIn()
    assert.equal((await guest.open(host(), '/')).status, 200)
    const holding = await until(() => servers.find((server) => server.logs().includes('"event":"outpost.connected"')))
    const other = servers.find((server) => server !== holding) as Signet
    await holding.kill('SIGKILL')
    await until(() => other.logs().includes('"event":"outpost.connected"'), { withinMs: 5_000 })
    assert.equal((await guest.open(host(), '/')).status, 200)
    const instances = await instancesAt(other)
    assert.deepEqual(
      instances.map((each) => each.isConnected),
      [true],
    )
    assert.equal((await (await signedIn()).open(host(), '/')).status, 200)
    await other.api('DELETE', `/api/v1/users/${anna}/sessions`, undefined, { token: other.env.SIGNET_BOOTSTRAP_TOKEN })
    await until(async () => (await guest.open(host(), '/')).status === 302, { withinMs: 2_000 })
  })
})
