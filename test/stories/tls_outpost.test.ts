/** Applications behind the outpost on TLS_PORT: over HTTP/2 all that goes over HTTP/1.1, and web sockets over HTTP/1.1 on the same port. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { openBrowser, openContext } from '../support/browser.ts'
import type { Upstream } from '../support/guarded.ts'
import { ask2 } from '../support/http2.ts'
import { needs } from '../support/needs.ts'
import { type SecureSite, startSecureSite } from '../support/secure_site.ts'
import { type Signet, until } from '../support/signet.ts'

describe('the outpost on TLS_PORT', () => {
  let site: SecureSite
  let signet: Signet
  let upstream: Upstream
  let port: number
  let app: string
  const hash = createHash('sha256')
  let received = 0
  let ends: (() => void)[] = []

  before(async () => {
    site = await startSecureSite((asked, response) => {
      const path = asked.url ?? ''
      if (path === '/open/upload') {
        asked.on('data', (chunk: Buffer) => {
          received += chunk.length
          hash.update(chunk)
        })
        asked.on('end', () => response.end(String(received)))
      } else if (path === '/open/download') {
        const block = Buffer.alloc(1_048_576, 'x')
        let left = 64
        const more = () => {
          while (left > 0) {
            left--
            if (!response.write(block)) return void response.once('drain', more)
          }
          response.end()
        }
        more()
      } else if (path === '/open/events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('data: one\n\n')
        ends.push(() => response.end('data: two\n\n'))
      } else if (path === '/open/dies') {
        response.writeHead(200, { 'content-length': '100' })
        response.write('half')
        ends.push(() => response.destroy())
      } else if (path === '/open/cookies') {
        response.writeHead(200, { 'set-cookie': ['a=1', 'b=2'], connection: 'close, x-hop', 'x-hop': 'y', 'keep-alive': 'timeout=1' })
        response.end()
      } else if (path === '/open/trailers') {
        let body = ''
        asked.on('data', (chunk) => {
          body += chunk
        })
        asked.on('end', () => response.end(JSON.stringify({ body, trailers: asked.trailers })))
      } else if (path === '/open/gone') {
        asked.socket.destroy()
      } else if (path === '/open/early') {
        response.writeHead(413)
        response.end('too much')
      } else return false
      return true
    })
    ;({ signet, upstream, port, app } = site)
    upstream.server.on('upgrade', (_, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.pipe(socket)
    })
    await signet.apply(`apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: forward }
spec:
  displayName: Forward
  authServerRef: { name: secure }
  proxy: { mode: forward_single, externalUrl: "https://forward.localhost" }
`)
  })
  after(async () => {
    for (const end of ends) end()
    ends = []
    await site?.stop()
  })

  const open = (headers: Record<string, string>, body?: Buffer) =>
    ask2(port, { ':authority': app, ...headers }, { servername: 'app.localhost', ...(body ? { body } : {}) })

  it('takes and gives large bodies', async () => {
    const body = Buffer.alloc(64 * 1_048_576, 'y')
    const up = await open({ ':method': 'POST', ':path': '/open/upload' }, body)
    assert.equal(up.body.toString(), String(body.length))
    assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'))
    assert.equal((await open({ ':path': '/open/download' })).body.length, 64 * 1_048_576)
  })

  it('answers before a body has come whole', async () => {
    const answer = await open({ ':method': 'POST', ':path': '/open/early' }, Buffer.alloc(100_000))
    assert.equal(answer.status, 413)
  })

  it('hands no trailers on, in which anyone could claim anything', async () => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, servername: 'app.localhost' })
    const stream = session.request(
      { ':method': 'POST', ':path': '/open/trailers', ':authority': app, te: 'trailers' },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-signet-username': 'admin' }))
    stream.end('body')
    let text = ''
    stream.on('data', (chunk) => {
      text += chunk
    })
    await once(stream, 'end')
    session.close()
    assert.deepEqual(JSON.parse(text), { body: 'body', trailers: {} })
  })

  it('hands cookies on one by one, and nothing that belongs to a connection', async () => {
    const { headers } = await open({ ':path': '/open/cookies' })
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(headers['x-hop'], undefined)
    assert.equal(headers['keep-alive'], undefined)
  })

  it('hands events on as they come', async () => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, servername: 'app.localhost' })
    const stream = session.request({ ':path': '/open/events', ':authority': app })
    let text = ''
    stream.on('data', (chunk) => {
      text += chunk
    })
    await until(() => text === 'data: one\n\n')
    ends.pop()?.()
    await until(() => text.endsWith('data: two\n\n'))
    session.close()
  })

  it('does not show half an answer as a whole one', async () => {
    const asked = open({ ':path': '/open/dies' })
    const broken = assert.rejects(asked, /NGHTTP2_INTERNAL_ERROR/)
    await until(() => ends.length > 0)
    ends.pop()?.()
    await broken
  })

  it('says 502 of an application that is gone', async () => {
    assert.equal((await open({ ':path': '/open/gone' })).status, 502)
  })

  it('joins web sockets over HTTP/1.1', async () => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      servername: 'app.localhost',
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.write(`GET /open/socket HTTP/1.1\r\nHost: ${app}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
    await until(() => text.includes('\r\n\r\n'), { explain: () => text })
    assert.match(text, /^HTTP\/1\.1 101 /)
    socket.write('echo this')
    await until(() => text.endsWith('echo this'))
    socket.destroy()
  })

  it('answers proxies that ask about requests', async () => {
    const { status, headers } = await ask2(port, {
      ':path': '/outpost.signet/auth/nginx',
      ':authority': `localhost:${port}`,
      'x-original-url': 'https://forward.localhost/page',
      'x-original-method': 'GET',
      accept: 'text/html',
    })
    assert.equal(status, 401)
    assert.match(String(headers.location), /^https:\/\/forward\.localhost\/outpost\.signet\/start/)
  })

  it('makes Node warn of nothing', () => {
    assert.doesNotMatch(signet.logs(), /Warning/)
  })

  it('in Chromium a person signs in at an application and comes back to their page', needs('chromium'), async () => {
    const browser = await openBrowser()
    try {
      const { context, complaints } = await openContext(browser, {
        javaScript: true,
        origins: [`https://localhost:${port}`, `https://${app}`],
        ignoreHTTPSErrors: true,
      })
      const page = await context.newPage()
      await page.goto(`https://${app}/deep/page?a=b`)
      await page.fill('[name=username]', 'admin')
      await page.click('form[method=post] button.first[type=submit]')
      await page.fill('[name=password]', signet.password)
      await page.click('form[method=post] button.first[type=submit]')
      await page.waitForURL(`https://${app}/deep/page?a=b`)
      const told = upstream.last()
      assert.equal(told?.headers['x-signet-username'], 'admin')
      // None of them can be set by a page that is not on https.
      const cookies = await context.cookies(`https://${app}/outpost.signet/sign_out`)
      assert.deepEqual(cookies.map(({ name, path }) => [name.replace(/[0-9a-f]{12}/, '…'), path]).sort(), [
        ['__Host-signet_outpost_…', '/'],
        ['__Secure-signet_outpost_…_hint', '/outpost.signet/sign_out'],
      ])
      await page.goto(`https://${app}/outpost.signet/sign_out`)
      assert.equal(page.url(), `https://${app}/outpost.signet/sign_out?state=signed_out`)
      assert.deepEqual(await context.cookies(`https://${app}/outpost.signet/sign_out`), [])
      assert.deepEqual(
        complaints.filter((complaint) => !complaint.includes('favicon')),
        [],
      )
    } finally {
      await browser.close()
    }
  })
})
