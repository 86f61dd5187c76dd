/** An outpost that runs by itself, beside a server that comes and goes. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { ask, type Guest, openGuest, signIn, startUpstream, type Told, type Upstream } from '../support/guarded.ts'
import { freePort } from '../support/postgres.ts'
import { runSignet, type Signet, startSignet, until } from '../support/signet.ts'

const password = 'correct horse battery'

interface ListedOutpost {
  namespace: string
  name: string
  applications: string[]
  instances: { version: string; address: string; isConnected: boolean; since: string; lastSeen: string; generation: string | null }[]
}

describe('an outpost that runs by itself', () => {
  let core: Signet
  let outpost: Signet
  let upstream: Upstream
  let port: number
  let token: string
  const people: Record<string, string> = {}
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  const at = (name: string) => `${name}.localhost:${port}`
  const here = () => `here.localhost:${core.port}`

  const application = (name: string, externalUrl: string, proxy: string, more = '') => `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: ${name}, namespace: default }
spec:
  displayName: ${name}
  authServerRef: { name: default }
  proxy:
    externalUrl: ${externalUrl}
${proxy.replace(/^/gm, '    ')}
${more.replace(/^/gm, '  ')}
---`
  const outpostManifest = (namespace: string, name: string) => `
apiVersion: signet.dev/v1alpha1
kind: Outpost
metadata: { name: ${name}, namespace: ${namespace} }
spec: {}
---`

  /** A process of an outpost: it knows nothing of the database and the root secret. */
  const startOutpost = (settings: Record<string, string | undefined>, waitUntil: 'ready' | 'live' = 'ready') =>
    startSignet({
      command: 'outpost',
      databaseUrl: '',
      waitUntil,
      settings: {
        DATABASE_URL: undefined,
        SECRET_KEY: undefined,
        BOOTSTRAP_TOKEN: undefined,
        BOOTSTRAP_PASSWORD: undefined,
        BASE_URL: undefined,
        OUTBOUND_ALLOW: undefined,
        SERVER: core.issuer,
        ...settings,
      },
    })

  const tokenFor = async (namespace: string) =>
    (
      await core.api<{ token: string; id: string }>('POST', '/api/v1/tokens', {
        name: `outposts of ${namespace}`,
        scope: { kinds: ['outposts'], namespaces: [namespace], verbs: ['use'] },
      })
    ).body

  const signedIn = async (name: string, username: string): Promise<Guest> => {
    const guest = openGuest(port)
    await signIn(core, guest, { host: at(name), start: '/outpost.signet/start', answers: { username, password } })
    return guest
  }
  const statusOf = async (guest: Guest, name: string, path = '/') => (await guest.open(at(name), path)).status
  const sessionsOf = (username: string) => core.database.db.run(sql`delete from sessions where user_id = ${people[username]}`)
  const members = async (names: string[]) => {
    const groups = await core.api<{ items: { id: string }[] }>('GET', '/api/v1/groups?q=readers')
    await core.api('PATCH', `/api/v1/groups/${groups.body.items[0]?.id}`, { members: names })
  }
  const listed = async () =>
    (await core.api<{ items: ListedOutpost[] }>('GET', '/api/v1/outposts')).body.items.find(({ name }) => name === 'edge')
  const health = async () =>
    (await (await fetch(`http://127.0.0.1:${port}/-/health/ready`)).json()) as { ready: boolean; version: string; connected: boolean }
  const connected = () => until(async () => (await health()).connected, { withinMs: 20_000, explain: () => outpost.logs().slice(-3_000) })

  before(async () => {
    core = await startSignet({ command: 'server' })
    upstream = await startUpstream()
    port = await freePort()
    for (const username of ['anna', 'bert', 'carl', 'dora']) {
      const made = await core.api<{ id: string }>('POST', '/api/v1/users', {
        username,
        email: `${username}@example.com`,
        emailVerified: true,
      })
      people[username] = made.body.id
      await core.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    }
    await core.api('POST', '/api/v1/groups', { name: 'readers', members: ['anna', 'bert', 'carl', 'dora'] })
    const proxy = `mode: proxy\nupstreamUrl: http://127.0.0.1:${upstream.port}`
    await core.apply(
      `
apiVersion: signet.dev/v1alpha1
kind: ClaimMapper
metadata: { name: departments, namespace: default }
spec:
  authServerRef: { name: default }
  claims: [{ name: department, value: '"friends of " + user.username' }]
---` +
        outpostManifest('default', 'edge') +
        outpostManifest('elsewhere', 'west') +
        application(
          'wiki',
          `http://${at('wiki')}`,
          `${proxy}\noutpostRef: { name: edge }\npublicPaths: [/health]\nheaders: { claims: [{ header: X-Department, claim: department }] }`,
          'access: { groups: [readers] }',
        ) +
        application('plain', `http://${at('plain')}`, 'mode: forward_single\noutpostRef: { name: edge }') +
        application('far', `http://${at('far')}`, `${proxy}\noutpostRef: { name: west, namespace: elsewhere }`) +
        application('here', `http://${here()}`, proxy),
    )
    ;({ token } = await tokenFor('default'))
    outpost = await startOutpost({ PORT: String(port), TOKEN: token })
    await connected()
  })
  after(async () => {
    await outpost?.stop()
    await core?.stop()
    await upstream?.stop()
  })

  test('people sign in through it, in both modes, and each outpost guards its own applications alone', async () => {
    const anna = await signedIn('wiki', 'anna')
    const shown = await anna.open(at('wiki'), '/page?x=1', { headers: { 'X-Signet-Username': 'root', x_department: 'root' } })
    assert.equal(shown.status, 200, shown.body)
    const told = JSON.parse(shown.body) as Told
    assert.deepEqual([told.url, told.headers['x-signet-username'], told.headers['x-signet-groups']], ['/page?x=1', 'anna', 'readers'])
    assert.deepEqual([told.headers['x-department'], told.headers.x_department], ['friends of anna', undefined])

    const forwarded = {
      'x-forwarded-proto': 'http',
      'x-forwarded-host': at('plain'),
      'x-forwarded-uri': '/a?b=c',
      'x-forwarded-method': 'GET',
    }
    const bert = openGuest(port)
    const first = await bert.open(at('plain'), '/outpost.signet/auth/traefik', { headers: forwarded })
    assert.equal(first.status, 302)
    await signIn(core, bert, { host: at('plain'), start: '/outpost.signet/start', answers: { username: 'bert', password } })
    const passed = await bert.open(at('plain'), '/outpost.signet/auth/traefik', { headers: forwarded })
    assert.deepEqual([passed.status, passed.headers['x-signet-username']], [200, 'bert'])

    // The server does not guard what an Outpost does, nor the other way round, nor one Outpost what another does.
    assert.equal((await ask(core.port, at('wiki'), '/')).status, 421)
    for (const host of [here(), at('far'), 'nowhere.localhost']) assert.equal((await ask(port, host, '/')).status, 404, host)
    assert.equal((await ask(port, `localhost:${core.port}`, '/api/v1/me')).status, 404)
    assert.equal((await ask(port, at('wiki'), '/', { headers: { accept: 'application/json' } })).status, 401)
    assert.equal((await ask(port, at('wiki'), '/health')).status, 200)
  })

  test('both sides show who is connected, and with which version', async () => {
    const found = await until(async () => {
      const edge = await listed()
      return edge?.instances[0]?.generation ? edge : undefined
    })
    assert.deepEqual(found.applications, ['default/plain', 'default/wiki'])
    assert.equal(found.instances.length, 1)
    const [instance] = found.instances
    assert.deepEqual([instance?.version, instance?.address, instance?.isConnected], [version, '127.0.0.1', true])
    assert.ok(Date.parse(instance?.lastSeen ?? '') >= Date.parse(instance?.since ?? ''))
    const { body } = await core.api<{
      status: { conditions: { type: string; status: string; reason: string }[]; instances: { connected: number } }
    }>('GET', '/api/v1/namespaces/default/outposts/edge')
    assert.deepEqual([body.status.conditions[0]?.reason, body.status.instances.connected], ['Connected', 1])
    assert.deepEqual(JSON.parse((await ask(port, at('wiki'), '/outpost.signet/ping')).body), { status: 'ok', version })
    const own = await health()
    assert.deepEqual([own.ready, own.version, own.connected], [true, version, true])
    await until(() => outpost.logs().includes('outpost.core.connected') && core.logs().includes('outpost.connected'))
    assert.ok(!outpost.logs().includes(token) && !core.logs().includes(token))
    const metrics = await (await fetch(`http://127.0.0.1:${outpost.metricsPort}/metrics`)).text()
    assert.match(metrics, /signet_http_server_request_duration_seconds_count\{part="outpost"/)
  })

  test('the end of a session, a change of groups and the end of an account reach it within two seconds', async () => {
    const anna = await signedIn('wiki', 'anna')
    assert.equal(await statusOf(anna, 'wiki'), 200)
    await core.api('DELETE', `/api/v1/users/${people.anna}/sessions`)
    await until(async () => (await statusOf(anna, 'wiki')) === 302, { withinMs: 2_000 })

    const bert = await signedIn('wiki', 'bert')
    await members(['anna', 'carl', 'dora'])
    await until(async () => (await statusOf(bert, 'wiki')) === 403, { withinMs: 2_000 })
    await members(['anna', 'bert', 'carl', 'dora'])
    await until(async () => (await statusOf(bert, 'wiki')) === 200, { withinMs: 2_000 })

    await core.api('PATCH', `/api/v1/users/${people.bert}`, { active: false })
    await until(async () => (await statusOf(bert, 'wiki')) === 302, { withinMs: 2_000 })
    await core.api('PATCH', `/api/v1/users/${people.bert}`, { active: true })
  })

  test('a change of an application reaches it', async () => {
    const anna = await signedIn('wiki', 'anna')
    assert.equal((await ask(port, at('wiki'), '/open')).status, 302)
    const path = '/api/v1/namespaces/default/applications/wiki'
    await core.api('PATCH', path, { spec: { proxy: { publicPaths: ['/health', '/open'] } } })
    await until(async () => (await ask(port, at('wiki'), '/open')).status === 200, { withinMs: 2_000 })
    assert.equal(await statusOf(anna, 'wiki'), 200)
  })

  test('core is killed under load: whoever is signed in goes on, and nobody can sign in until it is back', async () => {
    const [anna, bert, carl] = await Promise.all([signedIn('wiki', 'anna'), signedIn('wiki', 'bert'), signedIn('wiki', 'carl')])
    const dora = await signedIn('wiki', 'dora')
    await members(['anna', 'bert', 'carl'])
    await until(async () => (await statusOf(dora, 'wiki')) === 403, { withinMs: 2_000 })
    const guest = openGuest(core.port)
    await signIn(core, guest, { host: here(), start: '/outpost.signet/start', answers: { username: 'anna', password } })
    await core.api('DELETE', `/api/v1/users/${people.carl}/sessions`)
    await until(async () => (await statusOf(carl, 'wiki')) === 302, { withinMs: 2_000 })

    let isOver = false
    const failed: string[] = []
    let passed = 0
    await signIn(core, anna, { host: at('plain'), start: '/outpost.signet/start', answers: { username: 'anna', password } })
    const asked = { 'x-forwarded-proto': 'http', 'x-forwarded-host': at('plain'), 'x-forwarded-uri': '/', 'x-forwarded-method': 'GET' }
    const load = Array.from({ length: 24 }, async (_, index) => {
      const request = [
        () => anna.open(at('wiki'), `/load/${index}`),
        () => bert.open(at('wiki'), `/load/${index}`, { method: 'POST', body: 'x'.repeat(10_000) }),
        () => anna.open(at('plain'), '/outpost.signet/auth/traefik', { headers: asked }),
      ][index % 3] as () => ReturnType<typeof ask>
      while (!isOver) {
        const answer = await request().catch((error: Error) => ({ status: 0, body: error.message }))
        if (answer.status === 200) passed++
        else failed.push(`${answer.status} ${answer.body.slice(0, 100)}`)
      }
    })
    await until(() => passed > 200)
    await core.kill('SIGKILL')
    await until(async () => !(await health()).connected, { withinMs: 10_000 })
    const before = passed
    await until(() => passed > before + 500)

    for (const [accept, type] of [
      ['text/html', /text\/html/],
      ['application/json', /problem\+json/],
      ['*/*', /text\/plain/],
    ] as const) {
      const away = await until(async () => {
        const answer = await ask(port, at('wiki'), '/outpost.signet/start', { headers: { accept } })
        return answer.status === 503 && answer
      })
      assert.match(String(away.headers['content-type']), type)
      assert.ok(Number(away.headers['retry-after']) > 0)
      assert.match(away.body, /can sign in/)
    }

    // Restarted now it goes on from what it kept, which nobody but its owner can read, and which holds no secret in the clear.
    isOver = true
    await Promise.all(load)
    assert.equal(failed.join('\n'), '')
    await outpost.restart()
    assert.equal((await health()).connected, false)
    assert.equal(await statusOf(anna, 'wiki'), 200)
    assert.equal(await statusOf(carl, 'wiki'), 302, 'a session that had ended stays ended')
    assert.equal(await statusOf(dora, 'wiki'), 403, 'who had left the group has left it')
    const kept = join(outpost.dataDir, 'outpost_last_known')
    assert.equal(statSync(kept).mode & 0o777, 0o600)
    assert.doesNotMatch(readFileSync(kept, 'latin1'), /cookieKey|clientSecret|wiki/)
    // Whoever signs out is signed out here, and reads that it goes no further now.
    assert.equal((await dora.open(at('wiki'), '/outpost.signet/sign_out')).status, 503)
    assert.equal(await statusOf(dora, 'wiki'), 302)
    // By kill too, without a chance to tidy up.
    await outpost.restart({ signal: 'SIGKILL' })
    assert.equal(await statusOf(anna, 'wiki'), 200)

    // What ends meanwhile it learns when core is back.
    await sessionsOf('bert')
    assert.equal(await statusOf(bert, 'wiki'), 200)
    isOver = false
    const again = Array.from({ length: 12 }, async () => {
      while (!isOver) {
        const answer = await anna.open(at('wiki'), '/again')
        if (answer.status !== 200) failed.push(`${answer.status} ${answer.body.slice(0, 100)}`)
      }
    })
    await core.restart()
    await connected()
    await until(async () => (await statusOf(bert, 'wiki')) === 302, { withinMs: 2_000 })
    isOver = true
    await Promise.all(again)
    assert.equal(failed.join('\n'), '')
    assert.equal(await statusOf(await signedIn('wiki', 'carl'), 'wiki'), 200)
    // The outpost of the server is back with it, and knows whoever was signed in.
    assert.equal((await guest.open(here(), '/')).status, 200)
  })

  test('a token that is unknown, or of another namespace, is refused in words', async () => {
    const other = await tokenFor('elsewhere')
    for (const [own, words] of [
      [{ TOKEN: 'signet_a-token-that-nobody-made' }, /refuses this outpost: the token is unknown/],
      [{ TOKEN: other.token, OUTPOST: 'default/edge' }, /refuses this outpost: this needs the right to use Outpost in namespace default/],
      [{ TOKEN: token, OUTPOST: 'default/none' }, /refuses this outpost: there is no Outpost default\/none/],
      [{ TOKEN: core.token }, /refuses this outpost: this token may be several Outposts: say which \(default\/edge, elsewhere\/west\)/],
    ] as const) {
      const { code, stderr } = await runSignet(['outpost', '--server', core.issuer, '--port', '0', '--metrics-port', '0'], {
        settings: { ...own, DATA_DIR: join(outpost.dataDir, 'other'), LOG_LEVEL: 'error' },
      })
      assert.equal(code, 1)
      assert.match(stderr, words)
    }
    // A token of an outpost is for nothing else, and nobody is an outpost by a token for something else.
    for (const path of ['/api/v1/users', '/api/v1/namespaces/default/applications', '/api/v1/tokens', '/api/v1/outposts'])
      assert.equal((await core.api('GET', path, undefined, { token: other.token })).status, 403, path)
    const reader = await core.api<{ token: string }>('POST', '/api/v1/tokens', {
      name: 'reader',
      scope: { kinds: ['*'], namespaces: ['*'], verbs: ['get', 'list', 'update'] },
    })
    const query = new URLSearchParams({
      protocol: '1',
      version: '1',
      instance: crypto.randomUUID(),
      hostname: 'x',
      outpost: 'default/edge',
    })
    assert.equal((await core.api('GET', `/api/v1/outposts/stream?${query}`, undefined, { token: reader.body.token })).status, 403)
    const asked = (body: object, own: string) => core.api<{ person: unknown }>('POST', '/api/v1/outposts/person', body, { token: own })
    assert.equal((await asked({ id: people.anna }, token)).status, 200)
    assert.ok((await asked({ id: people.anna }, token)).body.person)
    // Nobody has come to an application of that Outpost.
    assert.equal((await asked({ id: people.anna }, other.token)).body.person, null)
    assert.equal((await asked({ id: people.anna, outpost: 'default/edge' }, other.token)).status, 403)
  })

  test('an outpost that was never told anything says so, and waits', async () => {
    const lost = await startOutpost({ TOKEN: token, SERVER: `http://127.0.0.1:${await freePort()}` }, 'live')
    const { status, headers, body } = await ask(lost.port, at('wiki'), '/', { headers: { accept: 'application/json' } })
    assert.equal(status, 503)
    assert.ok(Number(headers['retry-after']) > 0)
    assert.match(body, /was not told yet what it guards/)
    assert.equal((await fetch(`http://127.0.0.1:${lost.port}/-/health/ready`)).status, 503)
    const { code, afterMs } = await lost.kill('SIGTERM')
    assert.ok(code === 0 && afterMs < 4_000, `${code} after ${afterMs} ms`)
    await lost.stop()
  })

  test('an outpost of another version works, and both sides see it', async () => {
    const query = new URLSearchParams({
      protocol: '1',
      version: '9.9.9',
      instance: crypto.randomUUID(),
      hostname: 'x',
      outpost: 'default/edge',
    })
    const leave = new AbortController()
    const stream = await fetch(`${core.issuer}/api/v1/outposts/stream?${query}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: leave.signal,
    })
    assert.equal(stream.status, 200)
    const { value } = (await stream.body?.getReader().read()) ?? {}
    assert.match(
      new TextDecoder().decode(value),
      new RegExp(`^{"type":"hello","protocol":1,"version":"${version}","outpost":"default/edge"}\n`),
    )
    assert.ok((await listed())?.instances.some((each) => each.version === '9.9.9' && each.isConnected))
    await until(() => core.logs().includes('outpost.version.differs'))
    leave.abort()
    await until(async () => !(await listed())?.instances.some((each) => each.version === '9.9.9' && each.isConnected), { withinMs: 2_000 })
  })

  test('an outpost that speaks another protocol is refused in words', async () => {
    const query = new URLSearchParams({ protocol: '99', version: '9.9.9', instance: crypto.randomUUID(), hostname: 'x' })
    const answer = await core.api<{ detail: string }>('GET', `/api/v1/outposts/stream?${query}`, undefined, { token })
    assert.equal(answer.status, 409)
    assert.match(
      answer.body.detail,
      /speaks protocol 1 with outposts, and the outpost \(Signet 9\.9\.9\) protocol 99: bring both to one version/,
    )
  })

  test('a server sees when an outpost hangs, and the outpost comes back by itself', { timeout: 90_000 }, async () => {
    const west = await startOutpost({ TOKEN: (await tokenFor('elsewhere')).token })
    const instances = async () =>
      (await core.api<{ items: ListedOutpost[] }>('GET', '/api/v1/outposts')).body.items.find(({ name }) => name === 'west')?.instances ??
      []
    const isConnected = async (wanted: boolean) => (await instances()).some((each) => each.isConnected) === wanted
    await until(() => isConnected(true))
    process.kill(west.pid(), 'SIGSTOP')
    await until(() => isConnected(false), { withinMs: 25_000, everyMs: 500 })
    process.kill(west.pid(), 'SIGCONT')
    await until(() => isConnected(true), { withinMs: 25_000, everyMs: 500 })
    assert.equal((await instances()).length, 1)
    await west.stop()
    await until(() => isConnected(false), { withinMs: 2_000 })
  })

  test('an outpost whose token is taken back stops within seconds, and keeps nothing', async () => {
    const own = await tokenFor('elsewhere')
    const west = await startOutpost({ TOKEN: own.token })
    await until(() => existsSync(join(west.dataDir, 'outpost_last_known')))
    await core.api('DELETE', `/api/v1/tokens/${own.id}`)
    await until(() => !west.isAlive() && west.logs().includes('refuses this outpost: the token is unknown'), {
      withinMs: 12_000,
      explain: () => west.logs().slice(-2_000),
    })
    assert.ok(!existsSync(join(west.dataDir, 'outpost_last_known')))
    await west.stop()
  })

  test('the server stops at once, whoever is connected', async () => {
    const { code, afterMs } = await core.kill('SIGTERM')
    assert.equal(code, 0)
    assert.ok(afterMs < 4_000, `${afterMs} ms`)
    await core.restart()
    await connected()
  })
})
