import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { freshDatabase } from '../support/database.ts'
import { newVisitor, walk } from '../support/http.ts'
import { freePort } from '../support/postgres.ts'
import { runSignet, type Signet, startSignet, until } from '../support/signet.ts'

interface Resource {
  kind: string
  metadata: { name: string; namespace: string; labels?: Record<string, string> }
  spec: Record<string, unknown>
  status?: { conditions?: { type: string; status: string; reason: string }[] }
}

describe('the first start', () => {
  let signet: Signet
  before(async () => {
    signet = await startSignet()
  })
  after(() => signet.stop())

  test('makes UserStore, AuthServer and AuthPolicy `default`, Ready, in namespace default', async () => {
    for (const [plural, spec] of [
      ['userstores', { type: 'postgres' }],
      ['authservers', { issuerUrl: signet.issuer }],
      ['authpolicies', { enforcePKCE: true }],
    ] as const) {
      const { status, body } = await signet.api<Resource>('GET', `/api/v1/namespaces/default/${plural}/default`)
      assert.equal(status, 200, plural)
      assert.deepEqual({ ...body.spec, ...spec }, body.spec, plural)
      const condition = body.status?.conditions?.find(({ type }) => type === 'Ready')
      assert.equal(condition?.status, 'True', `${plural}: ${JSON.stringify(body.status)}`)
    }
    const { body } = await signet.api<Resource>('GET', '/api/v1/namespaces/default/authpolicies/default')
    assert.equal(body.metadata.labels?.['signet.dev/auth-server'], 'default')
    assert.deepEqual(new Set(body.spec.allowedScopes as string[]), new Set(['openid', 'profile', 'email', 'groups', 'offline_access']))
  })

  test('publishes discovery and keys at the issuer', async () => {
    const discovery = (await (await fetch(`${signet.issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>
    assert.equal(discovery.issuer, signet.issuer)
    for (const [name, path] of Object.entries({
      authorization_endpoint: 'authorize',
      token_endpoint: 'token',
      userinfo_endpoint: 'userinfo',
      introspection_endpoint: 'introspect',
      revocation_endpoint: 'revoke',
      jwks_uri: 'jwks',
      pushed_authorization_request_endpoint: 'par',
      device_authorization_endpoint: 'device',
      end_session_endpoint: 'end-session',
    }))
      assert.equal(discovery[name], `${signet.issuer}/oauth2/${path}`, name)
    const { keys } = (await (await fetch(String(discovery.jwks_uri))).json()) as { keys: Record<string, unknown>[] }
    assert.ok(keys.some(({ alg, kty, crv }) => alg === 'ES256' && kty === 'EC' && crv === 'P-256'))
    for (const key of keys) for (const secret of ['d', 'p', 'q', 'k']) assert.equal(key[secret], undefined)
  })

  test('lets the user admin sign in with the password of the environment', async () => {
    const visitor = newVisitor(signet.issuer)
    const page = await walk(visitor, await visitor.open('/flow/authentication'), { username: 'admin', password: signet.password })
    assert.equal(page.status, 200)
    const me = await visitor.request('/api/v1/me', { headers: { accept: 'application/json' } })
    assert.equal(((await me.json()) as { username: string }).username, 'admin')
  })

  test('refuses REST without a token', async () => {
    const response = await fetch(`${signet.issuer}/api/v1/users`)
    assert.equal(response.status, 401)
    assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
  })

  test('answers 421 for a host that no AuthServer has, but health on any host', async () => {
    const foreign = { headers: { host: 'elsewhere.example' } }
    // fetch does not send a foreign Host header.
    const { request } = await import('node:http')
    const statusOf = (path: string) =>
      new Promise<number>((resolve, reject) =>
        request({ host: '127.0.0.1', port: signet.port, path, ...foreign }, (response) => resolve(response.resume().statusCode ?? 0))
          .on('error', reject)
          .end(),
      )
    assert.equal(await statusOf('/.well-known/openid-configuration'), 421)
    assert.equal(await statusOf('/-/health/live'), 200)
    assert.equal(await statusOf('/-/health/ready'), 200)
    // RFC 9112 section 3.2.2: a server takes the absolute form, whatever its host.
    for (const host of ['http://elsewhere.example', `http://localhost:${signet.port}`, 'HTTPS://elsewhere.example:1']) {
      assert.equal(await statusOf(`${host}/-/health/live`), 200, host)
      assert.equal(await statusOf(`${host}/-/health/ready?x=1`), 200, host)
      assert.equal(await statusOf(`${host}/-/health/other`), 404, host)
    }
    assert.equal(await statusOf('http://elsewhere.example@x/-/health/live'), 400)
    assert.equal(await statusOf('http://elsewhere.example/other/-/health/live'), 421)
  })

  test('serves metrics on their own port', async () => {
    const response = await fetch(`http://127.0.0.1:${signet.metricsPort}/metrics`)
    assert.equal(response.status, 200)
    assert.match(await response.text(), /signet_http_server_request_duration_seconds/)
  })

  test('keeps everything over a restart, and the bootstrap values count only once', async () => {
    const { body: created } = await signet.api<{ id: string }>('POST', '/api/v1/users', { username: 'kept', email: 'kept@example.com' })
    await signet.api('POST', '/api/v1/users', { username: 'other' })
    await signet.restart()
    assert.equal((await signet.api('GET', `/api/v1/users/${created.id}`)).status, 200)
    const { body } = await signet.api<{ items: { username: string }[] }>('GET', '/api/v1/users?q=admin')
    assert.equal(body.items.filter(({ username }) => username === 'admin').length, 1)
  })

  test('leaves no secret in the log', () => {
    for (const secret of [signet.token, signet.password, signet.env.SIGNET_SECRET_KEY ?? '']) assert.ok(!signet.logs().includes(secret))
  })

  test('ends with exit code 0 within 10 s of SIGTERM', async () => {
    const { code, afterMs } = await signet.kill('SIGTERM')
    assert.equal(code, 0, signet.logs().slice(-2_000))
    assert.ok(afterMs < 10_000, `${afterMs} ms`)
  })
})

describe('signet up', () => {
  test('with the embedded database prints address, user and a random password once, and is quick the second time', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'signet-story-'))
    const settings = {
      DATABASE_URL: undefined,
      DATA_DIR: dataDir,
      BOOTSTRAP_PASSWORD: undefined,
      BOOTSTRAP_TOKEN: undefined,
      SECRET_KEY: undefined,
    }
    const first = await startSignet({ databaseUrl: '', settings, readyWithinMs: 60_000 })
    try {
      const printed = await until(() => /^ *password +(\S{8,})/im.exec(first.logs())?.[1], { explain: () => first.logs() })
      assert.ok(first.logs().includes(first.issuer))
      assert.match(first.logs(), /\badmin\b/)
      const visitor = newVisitor(first.issuer)
      await walk(visitor, await visitor.open('/flow/authentication'), { username: 'admin', password: printed })
      assert.equal((await visitor.request('/api/v1/me')).status, 200)

      const tokenFile = readdirSync(dataDir).find((name) => name.includes('token'))
      assert.ok(tokenFile && (statSync(join(dataDir, tokenFile)).mode & 0o077) === 0, 'the owner’s token is for the owner only')
      const listed = await runSignet(['get', 'authserver', 'default'], { settings: { DATA_DIR: dataDir, PORT: String(first.port) } })
      assert.equal(listed.code, 0, listed.stderr)

      const second = await runSignet(['up'], {
        settings: { DATA_DIR: dataDir, PORT: String(await freePort()), METRICS_PORT: String(await freePort()), HOST: '127.0.0.1' },
      })
      assert.notEqual(second.code, 0)
      assert.match(second.stderr + second.stdout, /already|runs|running/i)
      assert.equal((await fetch(`${first.issuer}/-/health/ready`)).status, 200, 'the first one is not disturbed')

      const before = first.logs().length
      const began = performance.now()
      await first.restart()
      assert.ok(performance.now() - began < 15_000)
      assert.ok(!first.logs().slice(before).includes(printed), 'the password is printed once')
      await first.restart({ signal: 'SIGKILL' })
      assert.equal((await fetch(`${first.issuer}/-/health/ready`)).status, 200, 'a crash leaves nothing that needs a hand')
      const exit = await first.kill('SIGTERM')
      assert.equal(exit.code, 0, first.logs().slice(-2_000))
      assert.ok(exit.afterMs < 10_000)
    } finally {
      await first.stop()
      if (existsSync(dataDir)) rmSync(dataDir, { recursive: true, force: true })
    }
  })

  test('names every wrong setting at once and does not start', async () => {
    const { code, stderr } = await runSignet(['up'], { settings: { PORT: 'many', LOG_LEVEL: 'loud', COLOUR: 'blue' } })
    assert.notEqual(code, 0)
    for (const name of ['SIGNET_PORT', 'SIGNET_LOG_LEVEL', 'SIGNET_COLOUR']) assert.ok(stderr.includes(name), stderr)
    for (const value of ['many', 'loud', 'blue']) assert.ok(!stderr.includes(value), 'values are not repeated')
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack')
  })
})

describe('signet server', () => {
  test('waits for a database that does not answer: alive, not ready, and it ends when told to', async () => {
    const signet = await startSignet({
      command: 'server',
      databaseUrl: `postgresql://nobody@127.0.0.1:${await freePort()}/none`,
      waitUntil: 'live',
    })
    try {
      const { status } = await fetch(`http://127.0.0.1:${signet.port}/-/health/ready`)
      assert.equal(status, 503)
      const { status: page, headers } = await fetch(signet.issuer)
      assert.equal(page, 503)
      assert.ok(headers.get('retry-after'))
      // What is logged comes a little later.
      await until(() => /database/.test(signet.logs()))
    } finally {
      const { code } = await signet.kill('SIGTERM')
      assert.equal(code, 0)
      await signet.stop()
    }
  })

  test('two on one database answer for each other', async () => {
    const database = await freshDatabase()
    const settings = { SECRET_KEY: 'k'.repeat(48), BOOTSTRAP_TOKEN: 't'.repeat(32), BOOTSTRAP_PASSWORD: 'correct horse' }
    const port = await freePort()
    const one = await startSignet({
      databaseUrl: database.url,
      settings: { ...settings, BASE_URL: `http://localhost:${port}`, PORT: String(port) },
    })
    const other = await startSignet({
      databaseUrl: database.url,
      command: 'server',
      settings: { ...settings, BASE_URL: `http://localhost:${port}` },
    })
    try {
      const created = await one.api('POST', '/api/v1/users', { username: 'both' }, { token: 't'.repeat(32) })
      assert.equal(created.status, 201)
      const { request } = await import('node:http')
      const found = await new Promise<string>((resolve, reject) =>
        request(
          {
            host: '127.0.0.1',
            port: other.port,
            path: '/api/v1/users?q=both',
            headers: { host: `localhost:${port}`, authorization: `Bearer ${'t'.repeat(32)}` },
          },
          async (response) => {
            let text = ''
            response.setEncoding('utf8').on('data', (chunk: string) => {
              text += chunk
            })
            await once(response, 'end')
            resolve(text)
          },
        )
          .on('error', reject)
          .end(),
      )
      assert.match(found, /"both"/)
    } finally {
      await other.stop()
      await one.stop()
      await database.drop()
    }
  })
})

describe('a start with another port on the same data', () => {
  test('says where people get in and what to do, and the command line reaches it', async () => {
    const { url, drop } = await freshDatabase()
    const dataDir = mkdtempSync(join(tmpdir(), 'signet-port-'))
    const settings = { DATA_DIR: dataDir, SECRET_KEY: 'one secret key for both starts, long enough' }
    const open: Signet[] = []
    try {
      const first = await startSignet({ databaseUrl: url, settings })
      open.push(first)
      await first.kill('SIGTERM')
      const second = await startSignet({ databaseUrl: url, settings })
      open.push(second)
      const said = (text: string) => until(async () => second.logs().includes(text), { withinMs: 10_000, explain: second.logs })
      await said('Ctrl-C stops it')
      assert.ok(second.logs().includes(`Address    ${first.issuer}\n`), second.logs())
      assert.ok(second.logs().includes(`No AuthServer is at ${second.issuer} (BASE_URL), which answers 421`), second.logs())
      const own = { settings: { DATA_DIR: dataDir } }
      const listed = await runSignet(['get', 'authserver', 'default'], own)
      assert.equal(listed.code, 0, listed.stderr)
      const here = { apiVersion: 'signet.dev/v1alpha1', kind: 'AuthServer', metadata: { name: 'here' }, spec: { issuerUrl: second.issuer } }
      assert.equal((await runSignet(['apply', '-f', '-'], { ...own, input: JSON.stringify(here) })).code, 0)
      await second.restart()
      await said(`Address    ${second.issuer}\n`)
      assert.equal((await runSignet(['get', 'authserver', 'here'], own)).code, 0)
    } finally {
      for (const each of open) await each.stop()
      await drop()
      rmSync(dataDir, { recursive: true, force: true })
    }
  })
})
