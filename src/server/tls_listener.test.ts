/** How connections of TLS_PORT end: idle ones, those of a server that stops, and those of clients that never say anything. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type ClientHttp2Session, connect, constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { connect as connectTcp } from 'node:net'
import { after, before, test } from 'node:test'
import { boundBody } from '#/lib/body_bound.ts'
import { systemClock } from '#/lib/clock.ts'
import { openLog } from '#/lib/log.ts'
import { makeAuthority } from '../../test/support/authority.ts'
import { type Frame, flags, frame, headerBlock, openRaw, type RawConnection, rawFrames } from '../../test/support/http2.ts'
import { until } from '../../test/support/signet.ts'
import { openCertificates } from './certificates.ts'
import { closeServer, listen, openListener } from './listener.ts'
import { openTlsListener } from './tls_listener.ts'

let pair: { cert: string; key: string }
const closing: (() => Promise<unknown>)[] = []

before(async () => {
  pair = await (await makeAuthority(new Date())).issue('localhost')
})
after(async () => {
  for (const close of closing) await close()
})

const start = async (
  handle: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  bounds: { idleMs?: number; handshakeWithinMs?: number } = {},
) => {
  const http1 = openListener((_, response) => response.end('over 1'))
  await listen(http1, 0, '127.0.0.1')
  const certificates = openCertificates({
    fallback: { certificate: pair.cert, privateKey: pair.key },
    pairs: new Map(),
    host: 'localhost',
    log: openLog('silent'),
    clock: systemClock,
  })
  const listener = openTlsListener({ http1, handle, certificates, ...bounds })
  const { port } = (await listener.listen(0, '127.0.0.1')) as AddressInfo
  const close = (withinMs: number) => Promise.all([listener.close(withinMs), closeServer(http1, withinMs)])
  closing.push(() => close(0).catch(() => {}))
  return { port, close }
}

const open = (port: number): ClientHttp2Session =>
  connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, servername: 'localhost' })

const answer = async (session: ClientHttp2Session): Promise<string> => {
  const stream = session.request({ ':path': '/' })
  let text = ''
  stream.on('data', (chunk) => {
    text += chunk
  })
  await once(stream, 'end')
  return text
}

const lastGoaway = (frames: Frame[]) => frames.findLast(({ type }) => type === 'goaway')

test('a connection without a request is told to go away, whatever else goes by on it', async () => {
  const { port } = await start((_, response) => response.end('over 2'), { idleMs: 300 })
  const began = performance.now()
  const pings = Buffer.concat(Array.from({ length: 5 }, () => frame('ping', 0, 0, Buffer.alloc(8))))
  const frames = await rawFrames(port, pings)
  assert.equal(lastGoaway(frames)?.payload.readUInt32BE(4), 0)
  assert.ok(performance.now() - began >= 290)
})

test('a connection that sends half of a request is told to go away', async () => {
  const { port } = await start((_, response) => response.end('over 2'), { idleMs: 300 })
  const half = frame('headers', flags.endStream, 1, headerBlock([[':method', 'GET']]))
  assert.ok(lastGoaway(await rawFrames(port, half)))
})

test('a body that does not come in time ends its request alone', async () => {
  const { port } = await start((request, response) => {
    // As the listener sees them, which knows those of HTTP/1.1.
    if (request.url === '/slow') boundBody(request as unknown as IncomingMessage, 200)
    else response.end('over 2')
  })
  const session = open(port)
  const stream = session.request({ ':method': 'POST', ':path': '/slow', 'content-length': 10 }, { endStream: false })
  stream.on('error', () => {})
  stream.write('half')
  await once(stream, 'close')
  assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL)
  assert.equal(await answer(session), 'over 2')
  session.close()
})

for (const [title, cut] of [
  ['a reset stream', (connection: RawConnection) => connection.reset(1, constants.NGHTTP2_CANCEL)],
  ['a stream reset without a fault', (connection: RawConnection) => connection.reset(1, constants.NGHTTP2_NO_ERROR)],
  ['a lost connection', (connection: RawConnection) => connection.cut()],
] as const)
  test(`a body that was cut by ${title} is no whole one, nor its answer finished`, async () => {
    const told: string[] = []
    let asked: [Http2ServerRequest, Http2ServerResponse] | undefined
    const { port } = await start((request, response) => {
      asked = [request, response]
      for (const event of ['data', 'end', 'aborted', 'error'] as const) request.on(event, () => told.push(event))
      response.on('close', () => told.push(`closed, finished: ${response.writableFinished}, whole: ${request.complete}`))
      response.writeHead(200)
      response.write('begun')
    })
    const connection = await openRaw(port)
    const asking = [
      [':method', 'POST'],
      [':scheme', 'https'],
      [':path', '/'],
      [':authority', 'localhost'],
    ] as const
    connection.send(frame('headers', flags.endHeaders, 1, headerBlock(asking)), frame('data', 0, 1, Buffer.from('half')))
    await until(() => told.includes('data'))
    cut(connection)
    await until(() => told.some((text) => text.startsWith('closed')))
    assert.deepEqual(told, ['data', 'aborted', 'error', 'closed, finished: false, whole: false'])
    assert.ok(asked?.[1].destroyed)
    connection.cut()
  })

test('one that came whole is, though its answer was cut', async () => {
  const told: string[] = []
  const { port } = await start((request, response) => {
    request.on('data', () => told.push('data'))
    request.on('end', () => told.push('end'))
    request.on('error', () => told.push('error'))
    response.on('close', () => told.push(`closed, finished: ${response.writableFinished}, whole: ${request.complete}`))
  })
  const session = open(port)
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  stream.on('error', () => {})
  stream.end('whole')
  await until(() => told.includes('end'))
  stream.close(constants.NGHTTP2_CANCEL)
  await until(() => told.length === 3)
  assert.deepEqual(told, ['data', 'end', 'closed, finished: false, whole: true'])
  session.destroy()
})

test('one whose requests take long stays', async () => {
  const responses: Http2ServerResponse[] = []
  const { port } = await start((_, response) => void responses.push(response), { idleMs: 200 })
  const session = open(port)
  const asked = answer(session)
  await until(() => responses.length === 1)
  const closed = once(session, 'close').then(() => 'closed')
  // Longer than an idle one may stay.
  assert.equal(await Promise.race([closed, new Promise((resolve) => setTimeout(() => resolve('open'), 500))]), 'open')
  responses[0]?.end('late')
  assert.equal(await asked, 'late')
  assert.equal(await closed, 'closed')
})

test('a server that stops answers what it was asked, takes nothing new and is gone then', async () => {
  const responses: Http2ServerResponse[] = []
  const { port, close } = await start((_, response) => void responses.push(response))
  const [busy, idle] = [open(port), open(port)]
  await Promise.all([once(busy, 'connect'), once(idle, 'connect')])
  const asked = answer(busy)
  await until(() => responses.length === 1)
  const began = performance.now()
  const goaway = once(busy, 'goaway')
  const closed = close(8_000)
  assert.equal((await goaway)[0], 0)
  responses[0]?.end('finished')
  assert.equal(await asked, 'finished')
  await closed
  assert.ok(performance.now() - began < 2_000)
  assert.ok(idle.closed)
})

test('a server that stops cuts what has not ended by the deadline', async () => {
  const { port, close } = await start(() => {})
  const session = open(port)
  session.on('error', () => {})
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  await once(session, 'remoteSettings')
  const began = performance.now()
  await close(300)
  assert.ok(performance.now() - began < 2_000)
})

test('a client that says nothing is cut', async () => {
  const { port } = await start(() => {}, { handshakeWithinMs: 300 })
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'close')
})

test('clients that say nothing keep no server from stopping', async () => {
  const { port, close } = await start(() => {})
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const began = performance.now()
  await close(300)
  assert.ok(performance.now() - began < 2_000)
})
