/** How TLS_PORT and CERTS_DIR begin: before the database is there, where the port is taken, and each without the other. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { makeAuthority } from '../support/authority.ts'
import { ask2, greet } from '../support/http2.ts'
import { freePort } from '../support/postgres.ts'
import { runSignet, startSignet, until } from '../support/signet.ts'

describe('TLS_PORT and CERTS_DIR at a start', () => {
  it('while the database does not answer: says so over HTTP/2 in the form that is asked for, with the certificate of CERTS_DIR, and ends when told to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signet-certs-'))
    const pair = await (await makeAuthority(new Date())).issue('id.example.com')
    writeFileSync(join(folder, 'tls.crt'), pair.cert)
    writeFileSync(join(folder, 'tls.key'), pair.key)
    const port = await freePort()
    const signet = await startSignet({
      command: 'server',
      databaseUrl: `postgresql://nobody@127.0.0.1:${await freePort()}/none`,
      settings: { TLS_PORT: String(port), CERTS_DIR: folder },
      waitUntil: 'live',
    })
    try {
      // It is opened after PORT.
      const socket = await until(() => greet(port, { servername: 'id.example.com' }).catch(() => undefined))
      assert.equal(new X509Certificate(socket.getPeerCertificate().raw).subjectAltName, 'DNS:id.example.com')
      for (const [accept, type] of [
        ['text/html,*/*', /^text\/html/],
        ['application/json', /^application\/problem\+json/],
        ['*/*', /^text\/plain/],
      ] as const) {
        const { status, headers } = await ask2(port, { ':path': '/', ':authority': 'id.example.com', accept })
        assert.equal(status, 503)
        assert.match(headers['content-type'] ?? '', type)
        assert.ok(headers['retry-after'])
      }
      assert.equal((await ask2(port, { ':path': '/-/health/live', ':authority': 'anything.example' })).status, 200)
      assert.equal((await ask2(port, { ':path': '/-/health/ready', ':authority': 'anything.example' })).status, 503)
      // It keeps its connection, which keeps no one from ending.
      const { code, afterMs } = await signet.kill('SIGTERM')
      assert.equal(code, 0)
      assert.ok(afterMs < 6_000)
      socket.destroy()
    } finally {
      await signet.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('where the port is taken: refused, in plain words', async () => {
    const port = await freePort()
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
    try {
      const { code, stderr } = await runSignet(['server'], {
        settings: {
          HOST: '127.0.0.1',
          PORT: '0',
          METRICS_PORT: '0',
          TLS_PORT: String(port),
          SECRET_KEY: 'k'.repeat(48),
          DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
          DATA_DIR: mkdtempSync(join(tmpdir(), 'signet-taken-')),
        },
      })
      assert.notEqual(code, 0)
      assert.match(stderr, new RegExp(`can't listen on 127.0.0.1:${port}: another program listens there`))
    } finally {
      taken.close()
    }
  })

  it('TLS_PORT is not needed for CERTS_DIR to make KeyPairs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signet-certs-'))
    const pair = await (await makeAuthority(new Date())).issue('id.example.com')
    writeFileSync(join(folder, 'id.pem'), pair.cert + pair.key)
    const signet = await startSignet({ settings: { CERTS_DIR: folder } })
    try {
      const found = await until(async () => {
        const answer = await signet.api<{ status: { notAfter: string } }>('GET', '/api/v1/namespaces/default/keypairs/id')
        return answer.status === 200 && answer.body
      })
      assert.equal(Date.parse(found.status.notAfter), new X509Certificate(pair.cert).validToDate.getTime())
    } finally {
      await signet.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
