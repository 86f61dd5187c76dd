/** Requests that break off, over HTTP/2 and HTTP/1.1: half a body is never taken for a whole one, and nothing waits on for who has gone. */
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import { ask } from '../support/guarded.ts'
import { flags, frame, headerBlock, openRaw, type RawConnection } from '../support/http2.ts'
import { type SecureSite, startSecureSite } from '../support/secure_site.ts'
import { type Signet, until } from '../support/signet.ts'

interface Seen {
  url: string
  received: number
  /** Undefined while neither has come. */
  end: 'whole' | 'cut' | undefined
  isClosed: boolean
  response: ServerResponse
}

describe('requests that break off', { timeout: 120_000 }, () => {
  let site: SecureSite
  let signet: Signet
  let port: number
  let app: string
  let seen: Seen[] = []

  const note = (asked: IncomingMessage, response: ServerResponse): Seen => {
    const one: Seen = { url: asked.url ?? '', received: 0, end: undefined, isClosed: false, response }
    seen.push(one)
    asked.on('data', (chunk: Buffer) => {
      one.received += chunk.length
    })
    asked.once('end', () => {
      one.end = 'whole'
    })
    asked.once('aborted', () => {
      one.end = 'cut'
    })
    asked.on('error', () => {})
    response.once('close', () => {
      one.isClosed = true
    })
    return one
  }

  before(async () => {
    site = await startSecureSite((asked, response) => {
      const { url } = note(asked, response)
      if (url === '/open/events') response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n')
      else if (url === '/open/download') response.writeHead(200, { 'content-length': '1000000' }).write('begun')
      else if (!url.startsWith('/open/held')) response.end(url)
      return true
    })
    ;({ signet, port, app } = site)
  })
  beforeEach(() => {
    seen = []
  })
  after(async () => {
    await site?.stop()
  })

  type Header = readonly [name: string, value: string]
  const opening = (stream: number, method: string, path: string, headers: readonly Header[] = [], host = app): Buffer =>
    frame(
      'headers',
      flags.endHeaders + (method === 'GET' ? flags.endStream : 0),
      stream,
      headerBlock([[':method', method], [':scheme', 'https'], [':path', path], [':authority', host], ...headers]),
    )
  const part = (stream: number, text: string, flag = 0) => frame('data', flag, stream, Buffer.from(text))
  /** A request after others on one connection: answered when those before it were read. */
  const answered = async (connection: RawConnection, stream: number, path: string): Promise<string> => {
    connection.send(opening(stream, 'GET', path))
    return until(() => connection.body(stream), { withinMs: 5_000 })
  }
  const ways: [title: string, cut: (connection: RawConnection) => void][] = [
    ['a reset stream', (connection) => connection.reset(1, constants.NGHTTP2_CANCEL)],
    ['a stream reset without a fault', (connection) => connection.reset(1, constants.NGHTTP2_NO_ERROR)],
    ['a lost connection', (connection) => connection.cut()],
  ]
  const framings: [title: string, headers: Header[]][] = [
    ['of unknown length', []],
    ['of a known length', [['content-length', '100']]],
  ]

  for (const [way, cut] of ways)
    for (const [framing, headers] of framings)
      it(`over HTTP/2 ${way} in the middle of a body ${framing} cuts the request that the application reads`, async () => {
        const connection = await openRaw(port)
        connection.send(opening(1, 'POST', '/open/held', headers), part(1, '0123456789'))
        await until(() => seen[0]?.received === 10)
        cut(connection)
        await until(() => seen[0]?.end, { withinMs: 5_000 })
        assert.equal(seen[0]?.end, 'cut')
        connection.cut()
      })

  for (const [framing, head, body] of [
    ['of unknown length', 'Transfer-Encoding: chunked', 'a\r\n0123456789\r\n'],
    ['of a known length', 'Content-Length: 100', '0123456789'],
  ])
    it(`over HTTP/1.1 a lost connection in the middle of a body ${framing} cuts the request that the application reads`, async () => {
      const socket = connectTcp(signet.port, '127.0.0.1')
      socket.write(`POST /open/held HTTP/1.1\r\nHost: ${app}\r\n${head}\r\n\r\n${body}`)
      await until(() => seen[0]?.received === 10)
      socket.destroy()
      await until(() => seen[0]?.end, { withinMs: 5_000 })
      assert.equal(seen[0]?.end, 'cut')
    })

  it('a request after one that was cut is read from its first byte', { timeout: 30_000 }, async () => {
    const connection = await openRaw(port)
    connection.send(opening(1, 'POST', '/open/held', [['content-length', '100']]), part(1, '0123456789'))
    await until(() => seen[0]?.received === 10)
    connection.reset(1, constants.NGHTTP2_CANCEL)
    assert.equal(await answered(connection, 3, '/open/between'), '/open/between')
    // Whether it hears of the cut or not, it answers now.
    seen[0]?.response.end('late')
    await until(() => seen[0]?.isClosed, { withinMs: 5_000 })
    for (const stream of [5, 7, 9]) assert.equal(await answered(connection, stream, `/open/next/${stream}`), `/open/next/${stream}`)
    connection.cut()
  })

  for (const path of ['/open/events', '/open/download', '/open/held'])
    for (const [way, cut] of ways)
      it(`over HTTP/2 ${way} ends the request for ${path} to the application too`, async () => {
        const connection = await openRaw(port)
        connection.send(opening(1, 'GET', path))
        const isAnswered = () => path === '/open/held' || connection.frames.some(({ type, stream }) => type === 'headers' && stream === 1)
        await until(() => seen.length === 1 && isAnswered())
        cut(connection)
        await until(() => seen[0]?.isClosed, { withinMs: 5_000 })
        connection.cut()
      })

  const policy = (name: string) => `apiVersion: signet.dev/v1alpha1
kind: AuthPolicy
metadata: { name: ${name} }
spec: {}
`
  const isThere = async (name: string) => (await signet.api('GET', `/api/v1/namespaces/default/authpolicies/${name}`)).status === 200
  const applying = () =>
    opening(
      1,
      'POST',
      '/api/v1/apply',
      [
        ['authorization', `Bearer ${signet.token}`],
        ['content-type', 'application/yaml'],
      ],
      `localhost:${port}`,
    )
  /** Whatever was said before it has been done by then, were it done at all. */
  const settled = async (name: string) => {
    await signet.apply(policy(name))
    assert.ok(await isThere(name))
  }

  it('a whole document of manifests over HTTP/2 is applied', async () => {
    const connection = await openRaw(port)
    connection.send(applying(), part(1, policy('whole'), flags.endStream))
    await until(() => connection.body(1))
    assert.ok(await isThere('whole'))
    connection.cut()
  })

  for (const [index, [way, cut]] of ways.entries())
    it(`over HTTP/2 ${way} in the middle of manifests applies none of them`, async () => {
      const connection = await openRaw(port)
      connection.send(applying(), part(1, `${policy(`cut-${index}`)}---\n`), frame('ping', 0, 0, Buffer.alloc(8)))
      // Answered when what came before it was read.
      await until(() => connection.frames.some(({ type, flag }) => type === 'ping' && flag & flags.ack))
      cut(connection)
      await settled(`after-cut-${index}`)
      assert.equal(await isThere(`cut-${index}`), false)
      connection.cut()
    })

  it('over HTTP/1.1 a lost connection in the middle of manifests applies none of them', async () => {
    const body = `${policy('cut-plain')}---\n`
    const { host } = new URL(signet.issuer)
    const socket = connectTcp(signet.port, '127.0.0.1')
    const head = [
      'POST /api/v1/apply HTTP/1.1',
      `Host: ${host}`,
      `Authorization: Bearer ${signet.token}`,
      'Content-Type: application/yaml',
      'Transfer-Encoding: chunked',
    ]
    await new Promise((resolve) =>
      socket.write(`${head.join('\r\n')}\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`, () => resolve(undefined)),
    )
    socket.end()
    socket.destroy()
    await settled('after-cut-plain')
    assert.equal(await isThere('cut-plain'), false)
  })

  it('has served everyone else, and told nothing on standard error', async () => {
    assert.equal((await ask(signet.port, app, '/open/last')).body, '/open/last')
    assert.ok(signet.isAlive())
    assert.doesNotMatch(signet.logs(), /Warning|"level":"fatal"|at .*\.ts:\d+:\d+/)
  })
})
