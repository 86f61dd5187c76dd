/** TLS_PORT as browsers and programs meet it: certificates by name, replaced while it runs, and both versions of HTTP. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as requestHttps } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { makeAuthority } from '../support/authority.ts'
import { openBrowser, openContext } from '../support/browser.ts'
import { ask2, greet } from '../support/http2.ts'
import { findProgram, needs } from '../support/needs.ts'
import { freePort } from '../support/postgres.ts'
import { runSignet, type Signet, startSignet, until } from '../support/signet.ts'

const run = promisify(execFile)
type Pair = { cert: string; key: string }

const manifest = (name: string, { cert, key }: Pair) =>
  JSON.stringify({
    apiVersion: 'signet.dev/v1alpha1',
    kind: 'KeyPair',
    metadata: { name },
    spec: { certificate: cert, privateKey: key },
  })

describe('TLS_PORT', () => {
  let signet: Signet
  let port: number
  let folder: string
  let authority: Awaited<ReturnType<typeof makeAuthority>>
  let kept: Pair

  before(async () => {
    port = await freePort()
    authority = await makeAuthority(new Date())
    folder = mkdtempSync(join(tmpdir(), 'signet-certs-'))
    kept = await authority.issue('folder.example.com')
    writeFileSync(join(folder, 'file.crt'), kept.cert + authority.ca)
    writeFileSync(join(folder, 'file.key'), kept.key)
    const inFolder = await authority.issue('certbot.example.com')
    mkdirSync(join(folder, 'certbot'))
    writeFileSync(join(folder, 'certbot', 'fullchain.pem'), inFolder.cert)
    writeFileSync(join(folder, 'certbot', 'privkey.pem'), inFolder.key)
    writeFileSync(join(folder, 'broken.pem'), 'no certificate')
    const other = await authority.issue('mixed.example.com')
    writeFileSync(join(folder, 'mixed.crt'), other.cert)
    writeFileSync(join(folder, 'mixed.key'), kept.key)
    signet = await startSignet({ settings: { TLS_PORT: String(port), CERTS_DIR: folder } })
    await signet.apply(`apiVersion: signet.dev/v1alpha1
kind: AuthServer
metadata: { name: secure }
spec: { issuerUrl: "https://localhost:${port}", policySelector: { signet.dev/auth-server: default } }
`)
  })
  after(async () => {
    await signet?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const shown = async (servername: string | undefined): Promise<X509Certificate> => {
    const socket = await greet(port, servername === undefined ? {} : { servername })
    const certificate = new X509Certificate(socket.getPeerCertificate().raw)
    socket.destroy()
    return certificate
  }
  const names = async (servername: string | undefined) => (await shown(servername)).subjectAltName
  const apply = async (name: string, pair: Pair) => assert.notEqual((await signet.apply(manifest(name, pair)))[0]?.result, 'refused')

  it('shows a certificate of its own for names that no KeyPair has, the same after a restart, readable by its owner alone', async () => {
    const first = await shown('unknown.example.com')
    assert.match(first.subject, /Signet default certificate/)
    assert.match(first.subjectAltName ?? '', /DNS:localhost/)
    assert.equal(statSync(join(signet.dataDir, 'default_certificate.pem')).mode & 0o777, 0o600)
    assert.equal((await shown(undefined)).fingerprint256, first.fingerprint256)
  })

  it('makes KeyPairs of what CERTS_DIR holds, and tells of what is broken by the name of its file', async () => {
    await until(async () => (await signet.api('GET', '/api/v1/namespaces/default/keypairs/certbot')).status === 200)
    assert.equal(await names('folder.example.com'), 'DNS:folder.example.com')
    assert.equal(await names('certbot.example.com'), 'DNS:certbot.example.com')
    const { body } = await signet.api<{ status: { notAfter: string } }>('GET', '/api/v1/namespaces/default/keypairs/file')
    assert.equal(Date.parse(body.status.notAfter), new X509Certificate(kept.cert).validToDate.getTime())
    const told = async () => {
      const events = await signet.api<{ items: { target?: { name?: string }; data?: { detail?: string } }[] }>(
        'GET',
        '/api/v1/events?action=configuration.error',
      )
      return Object.fromEntries(events.body.items.map(({ target, data }) => [target?.name, data?.detail]))
    }
    const faults = await until(async () => {
      const found = await told()
      return found['mixed.crt'] && found['broken.pem'] ? found : undefined
    })
    assert.match(faults['mixed.crt'] ?? '', /does not belong to the certificate/)
    assert.match(faults['broken.pem'] ?? '', /no certificate/)
    assert.equal((await signet.api('GET', '/api/v1/namespaces/default/keypairs/mixed')).status, 404)
  })

  it('shows the whole chain', async () => {
    const socket = await greet(port, { servername: 'folder.example.com', ca: authority.ca, rejectUnauthorized: true })
    assert.equal(socket.authorized, true)
    socket.destroy()
  })

  it('finds the exact name before a wildcard, of which one label is taken', async () => {
    await apply('wild', await authority.issue('*.wild.example.com', 'wild.example.com'))
    await apply('exact', await authority.issue('a.wild.example.com'))
    await until(async () => (await names('a.wild.example.com')) === 'DNS:a.wild.example.com')
    assert.match((await names('b.wild.example.com')) ?? '', /\*\.wild/)
    assert.match((await names('B.WILD.example.com')) ?? '', /\*\.wild/)
    assert.match((await names('wild.example.com')) ?? '', /\*\.wild/)
    assert.match((await shown('b.c.wild.example.com')).subject, /default certificate/)
  })

  it('shows the certificate of an address to those who ask for no name', async () => {
    const ofAddress = await authority.issue('127.0.0.1', '2001:db8::7')
    await apply('address', ofAddress)
    await until(async () => ((await names(undefined)) ?? '').includes('IP Address:127.0.0.1'))
    assert.equal((await signet.api('DELETE', '/api/v1/namespaces/default/keypairs/address')).status, 204)
    await until(async () => (await shown(undefined)).subject.includes('default certificate'))
  })

  it('serves a replaced KeyPair with the next handshake, and resumes no session of the one before', async () => {
    const first = await authority.issue('site.example.com')
    const second = await authority.issue('site.example.com')
    await apply('site', first)
    await until(async () => (await shown('site.example.com')).fingerprint256 === new X509Certificate(first.cert).fingerprint256)
    const tickets = await Promise.all(
      (['TLSv1.2', 'TLSv1.3'] as const).map(async (version) => {
        const options = { servername: 'site.example.com', minVersion: version, maxVersion: version }
        const socket = await greet(port, options)
        // In TLS 1.3 it comes after the handshake.
        const session = version === 'TLSv1.2' ? socket.getSession() : ((await once(socket, 'session')) as [Buffer])[0]
        socket.destroy()
        return { ...options, ...(session ? { session } : {}) }
      }),
    )
    const resumed = () =>
      Promise.all(
        tickets.map(async (options) => {
          const socket = await greet(port, options)
          const reused = socket.isSessionReused()
          socket.destroy()
          return reused
        }),
      )
    assert.deepEqual(await resumed(), [true, true])
    await apply('site', second)
    await until(async () => (await shown('site.example.com')).fingerprint256 === new X509Certificate(second.cert).fingerprint256)
    assert.deepEqual(await resumed(), [false, false])
  })

  it('keeps the last good pair when a manifest brings a key of another one', async () => {
    const good = await authority.issue('good.example.com')
    await apply('good', good)
    const { status, text } = await signet.api(
      'POST',
      '/api/v1/apply',
      manifest('good', { cert: (await authority.issue('x.example.com')).cert, key: good.key }),
    )
    assert.equal(status, 422)
    assert.match(text, /does not belong/)
    await until(async () => (await names('good.example.com')) === 'DNS:good.example.com')
  })

  it('shows no private key: neither REST nor its list, nor the log', async () => {
    const pair = await authority.issue('quiet.example.com')
    await apply('quiet', pair)
    const trace = pair.key.split('\n')[2] ?? 'nothing'
    for (const path of [
      '/api/v1/namespaces/default/keypairs/quiet',
      '/api/v1/namespaces/default/keypairs',
      '/api/v1/events?limit=500',
      '/api/v1/export',
    ]) {
      const { text } = await signet.api('GET', path)
      assert.ok(!text.includes('PRIVATE KEY') && !text.includes(trace), path)
    }
    assert.ok(!signet.logs().includes(trace))
  })

  it('is told apart from what it was by signet diff, without its key', async () => {
    const [one, other] = [await authority.issue('diff.example.com'), await authority.issue('diff.example.com')]
    await apply('diff', one)
    const diff = (pair: Pair) =>
      runSignet(['diff', '-f', '-'], { settings: { SERVER: signet.issuer, TOKEN: signet.token }, input: manifest('diff', pair) })
    assert.deepEqual(await diff(one), { code: 0, stdout: '', stderr: '' })
    const { code, stdout } = await diff(other)
    assert.equal(code, 1)
    assert.match(stdout, /BEGIN CERTIFICATE/)
    assert.doesNotMatch(stdout, /PRIVATE KEY|privateKey/)
  })

  it('takes TLS 1.2 and 1.3, and nothing older or weaker', async () => {
    const version = async (options: object) => {
      const socket = await greet(port, { servername: 'localhost', ...options })
      const found = `${socket.getProtocol()} ${socket.alpnProtocol}`
      socket.destroy()
      return found
    }
    assert.equal(await version({}), 'TLSv1.3 h2')
    assert.equal(await version({ maxVersion: 'TLSv1.2' }), 'TLSv1.2 h2')
    assert.equal(await version({ ALPNProtocols: ['http/1.1'] }), 'TLSv1.3 http/1.1')
    assert.equal(await version({ ALPNProtocols: undefined }), 'TLSv1.3 false')
    await assert.rejects(version({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }))
    await assert.rejects(version({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }))
    await assert.rejects(version({ maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }))
    await assert.rejects(version({ ALPNProtocols: ['spdy/3'] }))
  })

  it('answers the same over HTTP/1.1 and HTTP/2', async () => {
    const over1 = (path: string) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        requestHttps({ host: '127.0.0.1', port, path, rejectUnauthorized: false, headers: { host: `localhost:${port}` } }, (answer) => {
          let text = ''
          answer.on('data', (chunk) => {
            text += chunk
          })
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
        })
          .on('error', reject)
          .end()
      })
    for (const path of [
      '/.well-known/openid-configuration',
      '/oauth2/jwks',
      '/-/health/ready',
      '/api/openapi.json',
      '/nothing/here',
      '/flow/nothing',
    ]) {
      const [one, two] = await Promise.all([over1(path), ask2(port, { ':path': path, ':authority': `localhost:${port}` })])
      const plain = (text: string) => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'id')
      assert.deepEqual({ status: two.status, text: plain(two.body.toString()) }, { status: one.status, text: plain(one.text) }, path)
    }
    const { body } = await ask2(port, { ':path': '/.well-known/openid-configuration', ':authority': `localhost:${port}` })
    assert.equal(JSON.parse(body.toString()).issuer, `https://localhost:${port}`)
  })

  it('takes bodies over HTTP/2, with and without a length', async () => {
    for (const length of [true, false]) {
      const body = JSON.stringify({ name: `group ${length}` })
      const answer = await ask2(
        port,
        {
          ':method': 'POST',
          ':path': '/api/v1/groups',
          ':authority': `localhost:${port}`,
          authorization: `Bearer ${signet.token}`,
          'content-type': 'application/json',
          ...(length ? { 'content-length': body.length } : {}),
        },
        { body },
      )
      assert.equal(answer.status, 201, answer.body.toString())
    }
    const token = await ask2(
      port,
      {
        ':method': 'POST',
        ':path': '/oauth2/token',
        ':authority': `localhost:${port}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      { body: 'grant_type=client_credentials&client_id=nobody&client_secret=nothing' },
    )
    assert.equal(token.status, 401, token.body.toString())
    assert.equal(JSON.parse(token.body.toString()).error, 'invalid_client')
  })

  it('gives static files compressed, kept for ever and not twice, and nothing beside them', async () => {
    const at = `localhost:${port}`
    const page = await ask2(port, { ':path': '/nothing', ':authority': at, accept: 'text/html' })
    const path = /href="(\/static\/[^"]+\.css)"/.exec(page.body.toString())?.[1] ?? ''
    const { status, headers } = await ask2(port, { ':path': path, ':authority': at, 'accept-encoding': 'gzip, br' })
    assert.equal(status, 200)
    assert.equal(headers['content-encoding'], 'br')
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
    const again = { ':path': path, ':authority': at, 'accept-encoding': 'gzip, br', 'if-none-match': String(headers.etag) }
    assert.equal((await ask2(port, again)).status, 304)
    const head = await ask2(port, { ':method': 'HEAD', ':path': path, ':authority': at, 'accept-encoding': 'gzip, br' })
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, headers['content-length'], 0])
    for (const outside of [
      '/static/',
      '/static/../package.json',
      '/static/..%2fpackage.json',
      '/static/%2e%2e/package.json',
      '/static/pages.css',
    ])
      assert.equal((await ask2(port, { ':path': outside, ':authority': at })).status, 404, outside)
  })

  it('is understood by curl', { ...(findProgram('curl') ? {} : { skip: 'needs: apt-get install curl' }) }, async () => {
    for (const [flag, version] of [
      ['--http2', '2'],
      ['--http1.1', '1.1'],
    ] as const) {
      const { stdout } = await run('curl', [
        '-sk',
        flag,
        '-o',
        '/dev/null',
        '-w',
        '%{http_version} %{http_code}',
        `https://localhost:${port}/oauth2/jwks`,
      ])
      assert.equal(stdout, `${version} 200`)
    }
  })

  it('keeps its own certificate over a restart', async () => {
    const before = readFileSync(join(signet.dataDir, 'default_certificate.pem'), 'utf8')
    await signet.restart()
    assert.equal(readFileSync(join(signet.dataDir, 'default_certificate.pem'), 'utf8'), before)
    await until(async () => (await names('good.example.com').catch(() => undefined)) === 'DNS:good.example.com')
  })

  describe('in Chromium', needs('chromium'), () => {
    it('a person signs in over HTTP/2', async () => {
      const browser = await openBrowser()
      try {
        const origin = `https://localhost:${port}`
        const { context, complaints } = await openContext(browser, { javaScript: true, origins: [origin], ignoreHTTPSErrors: true })
        const page = await context.newPage()
        await page.goto(`${origin}/flow/authentication?next=/account`)
        await page.fill('[name=username]', 'admin')
        await page.click('form[method=post] button.first[type=submit]')
        await page.fill('[name=password]', signet.password)
        await page.click('form[method=post] button.first[type=submit]')
        await page.waitForURL(`${origin}/account`)
        // As text: the compiler knows the browser's entries from Node alone.
        const protocol = await page.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol')
        assert.equal(protocol, 'h2')
        const cookies = await context.cookies(origin)
        assert.ok(cookies.length > 0 && cookies.every(({ secure, httpOnly }) => secure && httpOnly))
        assert.deepEqual(complaints, [])
      } finally {
        await browser.close()
      }
    })
  })
})
