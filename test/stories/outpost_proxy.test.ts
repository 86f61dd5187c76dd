/**
 * Mode proxy against real applications: large and slow bodies, connections that stay, applications that fail in every way.
 *
 * A body of 256 MiB goes each way; with TEST_LARGE=1 it is one of 1 GiB.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { makeAuthority } from '../support/authority.ts'
import { type Asked, ask, type Guest, openGuest, signIn, startUpstream, type Told, type Upstream } from '../support/guarded.ts'
import { lines, raw, statuses } from '../support/raw.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

const password = 'correct horse battery'
const large = process.env.TEST_LARGE === '1' ? 2 ** 30 : 2 ** 28
const block = Buffer.alloc(64 * 1_024, 'x')
const mib = 1_024 * 1_024
/** What the server may grow by while a large body goes through it: half of the smallest, where what comes and goes with the collector is some 70 MiB whatever the size. */
const mostGrowth = 128 * mib
/** What the kernel holds of a stalled connection on its two ways, and a good deal more. */
const mostStalled = 96 * mib

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Writes so many bytes as fast as they are taken, or until the other side is gone; `written` hears of each block. */
const pour = async (to: Writable, bytes: number, written: (bytes: number) => void = () => {}): Promise<void> => {
  to.on('error', () => {})
  for (let sent = 0; sent < bytes && !to.destroyed; sent += block.length) {
    written(block.length)
    if (to.write(block) || to.destroyed) continue
    await new Promise<void>((resolve) => {
      const go = () => {
        to.off('drain', go)
        to.off('close', go)
        resolve()
      }
      to.on('drain', go)
      to.on('close', go)
    })
  }
  if (!to.destroyed) to.end()
}

describe('mode proxy', () => {
  let signet: Signet
  let upstream: Upstream
  let anna: Guest
  let annaId = ''
  let tls: Awaited<ReturnType<typeof startTls>>
  let crude: Awaited<ReturnType<typeof startCrude>>
  const silent = createTcpServer(() => {})
  const at = (name: string) => `${name}.localhost:${signet.port}`
  const get = (name: string, path: string, more: Parameters<typeof ask>[3] = {}) => ask(signet.port, at(name), path, more)

  /** What the application does, by path. */
  let handle: (request: IncomingMessage, response: ServerResponse) => boolean = () => false
  const answering = (path: string, answer: (request: IncomingMessage, response: ServerResponse) => void) => {
    handle = (asked, response) => {
      if (asked.url !== path) return false
      answer(asked, response)
      return true
    }
  }

  const startTls = async () => {
    const authority = await makeAuthority(new Date())
    const stranger = await makeAuthority(new Date())
    const names: string[] = []
    const server = createTlsServer({ ...(await authority.issue('wiki.internal')) }, (asked, response) => {
      names.push(String((asked.socket as unknown as { servername: string | false }).servername))
      response.end(asked.headers.host)
    })
    return { port: await listening(server), server, ca: authority.ca, otherCa: stranger.ca, names }
  }

  /** Answers whatever bytes it is told to. */
  const startCrude = async () => {
    const answer = { bytes: '', destroys: false }
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        if (answer.destroys) socket.destroy()
        else socket.end(answer.bytes, 'latin1')
      })
    })
    return { port: await listening(server), server, answer }
  }

  before(async () => {
    signet = await startSignet()
    upstream = await startUpstream((asked, response) => handle(asked, response))
    tls = await startTls()
    crude = await startCrude()
    const silentPort = await listening(silent)
    const closed = createTcpServer()
    const closedPort = await listening(closed)
    await new Promise((resolve) => closed.close(resolve))
    const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username: 'anna', name: 'Anna' })
    annaId = made.body.id
    await signet.api('POST', `/api/v1/users/${annaId}/password`, { password })
    await signet.api('POST', '/api/v1/groups', { name: 'readers', members: ['anna'] })
    const application = (name: string, to: string, more: object = {}, path = '') => ({
      apiVersion: 'signet.dev/v1alpha1',
      kind: 'Application',
      metadata: { name, namespace: 'default' },
      spec: {
        displayName: name,
        authServerRef: { name: 'default' },
        ...(name === 'private' ? { access: { groups: ['readers'] } } : {}),
        proxy: {
          mode: 'proxy',
          externalUrl: `http://${at(name)}${path}`,
          upstreamUrl: to,
          ...(name === 'private' ? {} : { publicPaths: ['/.*'] }),
          ...more,
        },
      },
    })
    const plain = `http://127.0.0.1:${upstream.port}`
    const https = `https://127.0.0.1:${tls.port}`
    const timeouts = { connect: '1s', response: '1s', idle: '1s' }
    await signet.apply(
      [
        application('open', plain),
        application('private', plain),
        application('hasty', plain, { upstream: { timeouts } }),
        application('nowhere', `http://127.0.0.1:${closedPort}`),
        application('silent', `https://127.0.0.1:${silentPort}`, { upstream: { timeouts } }),
        application('crude', `http://127.0.0.1:${crude.port}`),
        application('mapped', `${plain}/base/`, { upstream: { hostHeader: 'upstream' } }, '/app/'),
        application('tls-known', https, { upstream: { tls: { ca: tls.ca, serverName: 'wiki.internal' } } }),
        application('tls-stranger', https, { upstream: { tls: { ca: tls.otherCa, serverName: 'wiki.internal' } } }),
        application('tls-name', https, { upstream: { tls: { ca: tls.ca } } }),
        application('tls-public', https),
        application('tls-any', https, { upstream: { tls: { insecureSkipVerify: true } } }),
      ]
        .map((document) => JSON.stringify(document))
        .join('\n---\n'),
    )
    anna = openGuest(signet.port)
    await signIn(signet, anna, { host: at('private'), start: '/outpost.signet/start', answers: { username: 'anna', password } })
  })
  after(async () => {
    await signet?.stop()
    await upstream?.stop()
    for (const server of [tls?.server, crude?.server, silent]) server?.close()
    tls?.server.closeAllConnections()
  })

  const told = ({ body }: Asked) => JSON.parse(body) as Told
  const memory = () => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${signet.pid()}/status`, 'utf8'))?.[1]) * 1_024

  /** The most that the server grew by while something went on. */
  const growthDuring = async (work: () => Promise<void>): Promise<number> => {
    const first = memory()
    let most = first
    const looking = setInterval(() => {
      most = Math.max(most, memory())
    }, 50)
    await work().finally(() => clearInterval(looking))
    return Math.max(most, memory()) - first
  }

  const open = (name: string, path: string, options: { method?: string; headers?: Record<string, string> } = {}) =>
    request({ host: '127.0.0.1', port: signet.port, path, agent: false, ...options, headers: { host: at(name), ...options.headers } })
  const answerTo = (out: ReturnType<typeof open>) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      out.once('response', resolve)
      out.once('error', reject)
    })

  test('a large upload takes no memory', async (t) => {
    answering('/sink', (asked, response) => {
      let bytes = 0
      asked.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      asked.on('end', () => response.end(String(bytes)))
    })
    const upload = async (bytes: number) => {
      const out = open('open', '/sink', { method: 'POST', headers: { 'content-length': String(bytes) } })
      const [answer] = await Promise.all([answerTo(out), pour(out, bytes)])
      let body = ''
      for await (const chunk of answer) body += chunk
      return body
    }
    // What the first request takes, and what is kept between collections, is there before.
    await upload(16 * mib)
    let body = ''
    const growth = await growthDuring(async () => {
      body = await upload(large)
    })
    t.diagnostic(`${large / mib} MiB up, grew by ${Math.round(growth / mib)} MiB`)
    assert.equal(body, String(large))
    assert.ok(growth < mostGrowth, `grew by ${Math.round(growth / mib)} MiB`)
  })

  test('a large download takes no memory', async (t) => {
    answering('/source', (_, response) => {
      response.writeHead(200, { 'content-length': large })
      void pour(response, large)
    })
    let bytes = 0
    const growth = await growthDuring(async () => {
      const out = open('open', '/source')
      out.end()
      for await (const chunk of await answerTo(out)) bytes += (chunk as Buffer).length
    })
    t.diagnostic(`${large / mib} MiB down, grew by ${Math.round(growth / mib)} MiB`)
    assert.equal(bytes, large)
    assert.ok(growth < mostGrowth, `grew by ${Math.round(growth / mib)} MiB`)
  })

  /** Until a number stays what it is for five looks. */
  const settled = async (read: () => number): Promise<number> => {
    let seen = -1
    let looks = 0
    await until(
      async () => {
        const now = read()
        looks = now === seen && now > 0 ? looks + 1 : 0
        seen = now
        return looks >= 5
      },
      { withinMs: 15_000 },
    )
    return seen
  }

  test('whoever does not read holds the one who writes, both ways', async () => {
    let down = 0
    answering('/source', (_, response) => {
      void pour(response, large, (bytes) => {
        down += bytes
      })
    })
    const reader = open('open', '/source')
    reader.end()
    const answer = await answerTo(reader)
    for (const one of [reader, answer]) one.on('error', () => {})
    assert.ok((await settled(() => down)) < mostStalled, `${down / mib} MiB were taken from the application`)
    answer.destroy()

    let up = 0
    let held: IncomingMessage | undefined
    answering('/sink', (asked) => {
      held = asked
    })
    const writer = open('open', '/sink', { method: 'POST' })
    void pour(writer, large, (bytes) => {
      up += bytes
    })
    assert.ok((await settled(() => up)) < mostStalled, `${up / mib} MiB were taken from the browser`)
    held?.on('error', () => {})
    const gone = new Promise((resolve) => held?.once('close', resolve))
    writer.on('error', () => {})
    writer.destroy()
    held?.resume()
    await gone
  })

  const events = (name: string, guest?: Guest) =>
    open(name, '/events', { headers: { accept: 'text/event-stream', ...(guest ? { cookie: guest.cookies(at(name), '/') } : {}) } })

  test('each event of a stream arrives before the next is sent', async () => {
    let send: (text: string) => void = () => {}
    let left = false
    answering('/events', (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      send = (text) => response.write(text)
      response.once('close', () => {
        left = true
      })
    })
    const out = events('open')
    out.end()
    const answer = await answerTo(out)
    for (let number = 0; number < 5; number++) {
      const arrived = once(answer, 'data')
      send(`data: ${number}\n\n`)
      assert.equal(String((await arrived)[0]), `data: ${number}\n\n`)
    }
    answer.destroy()
    await until(async () => left, { withinMs: 5_000 })
  })

  test('chunks go both ways while neither body is whole, and trailers are dropped', async () => {
    answering('/echo', (asked, response) => {
      response.writeHead(200, { trailer: 'X-Signet-Username' })
      asked.on('data', (chunk) => response.write(chunk))
      asked.on('end', () => {
        response.addTrailers({ 'X-Signet-Username': 'root' })
        response.end()
      })
    })
    const out = open('open', '/echo', { method: 'POST', headers: { 'transfer-encoding': 'chunked', trailer: 'X-Signet-Username' } })
    let answer: IncomingMessage | undefined
    for (const text of ['one', 'two', 'three']) {
      out.write(text)
      answer ??= await answerTo(out)
      assert.equal(String((await once(answer, 'data'))[0]), text)
    }
    out.addTrailers({ 'X-Signet-Username': 'root' })
    out.end()
    assert.ok(answer)
    answer.resume()
    await once(answer, 'end')
    assert.deepEqual(answer.trailers, {})
    assert.equal(answer.headers.trailer, undefined)
    assert.equal(upstream.last()?.headers.trailer, undefined)
    assert.equal(upstream.last()?.headers['transfer-encoding'], 'chunked')
  })

  for (const [title, head] of [
    ['of a known length', { 'content-length': '1000' }],
    ['in chunks', {}],
  ] as const)
    test(`an application that dies in the middle of an answer ${title} does not leave a whole one`, async () => {
      answering('/die', (_, response) => {
        response.writeHead(200, head)
        response.write('half', () => response.socket?.destroy())
      })
      await assert.rejects(get('open', '/die'), { code: 'ECONNRESET' })
      const old = await raw(signet.port, lines('GET /die HTTP/1.0', `Host: ${at('open')}`))
      assert.ok(!old.includes('half') || title !== 'in chunks' || old.endsWith('half'), old)
      assert.equal((await get('open', '/')).status, 200)
    })

  test('whom an application does not answer is told 504, or that the answer broke', async () => {
    answering('/never', () => {})
    const began = performance.now()
    const answer = await get('hasty', '/never')
    assert.equal(answer.status, 504, answer.body)
    const took = performance.now() - began
    assert.ok(took > 900 && took < 5_000, `${took} ms`)
    answering('/stalls', (_, response) => {
      response.writeHead(200)
      response.write('a')
    })
    await assert.rejects(get('hasty', '/stalls'), { code: 'ECONNRESET' })
    assert.equal((await get('silent', '/')).status, 504)
    assert.equal((await get('silent', '/', { method: 'POST', body: 'a' })).status, 504)
  })

  test('an application that refuses the connection, or is none that speaks HTTP, is 502', async () => {
    assert.equal((await get('nowhere', '/')).status, 502)
    assert.equal((await get('nowhere', '/', { method: 'POST', body: block })).status, 502)
    const answers = [
      'HTTP/1.1 099 a\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 000 a\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 101 a\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 101 a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nok',
      'HTTP/1.1 200 a\u0001b\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 a\u0000b\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nX-A: a\u0000b\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(200_000)}\r\n\r\n`,
      'nonsense',
      'HTTP/1.1 200',
      '',
    ]
    for (const bytes of answers) {
      crude.answer.bytes = bytes
      const { status } = await get('crude', '/')
      assert.equal(status, 502, JSON.stringify(bytes.slice(0, 60)))
    }
    crude.answer.destroys = true
    assert.equal((await get('crude', '/')).status, 502)
    assert.ok(signet.isAlive())
  })

  test('an answer that comes before the upload is whole reaches the browser', async () => {
    for (const reads of [true, false]) {
      answering('/early', (asked, response) => {
        response.writeHead(413, { 'content-type': 'text/plain' })
        response.end('too large')
        if (reads) asked.resume()
      })
      const out = open('open', '/early', { method: 'POST', headers: { 'content-length': String(large) } })
      out.on('error', () => {})
      const poured = pour(out, large)
      const answer = await answerTo(out)
      assert.equal(answer.statusCode, 413)
      assert.equal(String((await once(answer, 'data'))[0]), 'too large')
      out.destroy()
      await poured
    }
    assert.equal((await get('open', '/')).status, 200)
  })

  test('answers without a body are those', async () => {
    for (const [status, method] of [
      [204, 'GET'],
      [304, 'GET'],
      [200, 'HEAD'],
      [404, 'HEAD'],
    ] as const) {
      answering('/empty', (_, response) =>
        response.writeHead(status, { etag: '"a"', ...(method === 'HEAD' ? { 'content-length': '1234' } : {}) }).end(),
      )
      const answer = await get('open', '/empty', { method })
      assert.equal(answer.status, status)
      assert.equal(answer.body, '')
      assert.equal(answer.headers.etag, '"a"')
      if (method === 'HEAD') assert.equal(answer.headers['content-length'], '1234')
    }
  })

  test('whoever waits with the body until it is asked for is asked', async () => {
    answering('/sink', (asked, response) => {
      asked.resume()
      asked.on('end', () => response.end('done'))
    })
    const answer = await raw(
      signet.port,
      lines('POST /sink HTTP/1.1', `Host: ${at('open')}`, 'Expect: 100-continue', 'Content-Length: 3', 'Connection: close'),
      { opened: (socket) => socket.once('data', () => socket.write('abc')) },
    )
    assert.match(answer, /^HTTP\/1\.1 100 /)
    assert.deepEqual(statuses(answer), [200])
    assert.equal(upstream.last()?.headers.expect, undefined)
  })

  test('what is said about one connection stays there', async () => {
    answering('/hop', (_, response) => {
      response.writeHead(200, [
        ...['Connection', 'close, X-Own', 'X-Own', '1', 'Keep-Alive', 'timeout=1', 'Proxy-Authenticate', 'Basic'],
        ...['X-Kept', '2', 'Set-Cookie', 'a=b', 'Set-Cookie', 'c=d', 'Content-Length', '0'],
      ])
      response.end()
    })
    const { headers } = await get('open', '/hop', {
      headers: {
        connection: 'X-Mine, close',
        'x-mine': '1',
        te: 'trailers',
        'proxy-authorization': 'Basic a',
        'keep-alive': '5',
        'x-kept': 'a',
      },
    })
    assert.equal(headers['x-own'], undefined)
    assert.equal(headers['proxy-authenticate'], undefined)
    assert.notEqual(headers['keep-alive'], 'timeout=1')
    assert.equal(headers['x-kept'], '2')
    assert.deepEqual(headers['set-cookie'], ['a=b', 'c=d'])
    const last = upstream.last()?.headers
    for (const name of ['x-mine', 'te', 'proxy-authorization', 'keep-alive']) assert.equal(last?.[name], undefined, name)
    assert.equal(last?.['x-kept'], 'a')
  })

  test('an application is asked for the host and the path that its settings say', async () => {
    const outside = told(await get('open', '/a/b?c=%2F&d'))
    assert.equal(outside.url, '/a/b?c=%2F&d')
    assert.equal(outside.headers.host, at('open'))
    for (const [asked, url] of [
      ['/app', '/base'],
      ['/app/', '/base/'],
      ['/app/x/y?z', '/base/x/y?z'],
      ['/app?z', '/base?z'],
    ] as const) {
      const inside = told(await get('mapped', asked))
      assert.equal(inside.url, url, asked)
      assert.equal(inside.headers.host, `127.0.0.1:${upstream.port}`)
      assert.equal(inside.headers['x-forwarded-host'], at('mapped'))
      assert.equal(inside.headers['x-forwarded-proto'], 'http')
    }
    for (const path of ['/', '/apple', '/base/x']) assert.equal((await get('mapped', path)).status, 421, path)
  })

  test('an application with https is known by its certificate', async () => {
    const known = await get('tls-known', '/')
    assert.equal(known.status, 200, known.body)
    assert.equal(known.body, at('tls-known'))
    assert.deepEqual(tls.names, ['wiki.internal'])
    for (const name of ['tls-stranger', 'tls-name', 'tls-public']) assert.equal((await get(name, '/')).status, 502, name)
    assert.equal(tls.names.length, 1)
    assert.equal((await get('tls-any', '/')).status, 200)
  })

  test('a connection that the application closed meanwhile is not noticed', async () => {
    // Ten times, since it is a race by its nature: the connection ends while the next request is under way.
    for (let times = 0; times < 10; times++) {
      answering('/last', (_, response) => {
        const { socket } = response
        response.end('last', () => socket?.destroySoon())
      })
      assert.equal((await get('open', '/last')).status, 200)
      assert.equal((await get('open', '/next')).status, 200)
    }
  })

  /** A web socket as bytes: the outpost has no business in its frames. */
  const openSocket = async (
    name: string,
    headers: string[] = [],
    path = '/socket',
  ): Promise<{ socket: Socket; head: string; rest: Buffer }> => {
    const socket = connect({ host: '127.0.0.1', port: signet.port, allowHalfOpen: true })
    socket.write(
      lines(
        `GET ${path} HTTP/1.1`,
        `Host: ${at(name)}`,
        'Connection: keep-alive, Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol: chat',
        ...headers,
      ),
    )
    let read = Buffer.alloc(0)
    while (!read.includes('\r\n\r\n')) read = Buffer.concat([read, (await once(socket, 'data'))[0] as Buffer])
    const end = read.indexOf('\r\n\r\n')
    return { socket, head: read.subarray(0, end).toString('latin1'), rest: read.subarray(end + 4) }
  }
  const cookie = () => `Cookie: ${anna.cookies(at('private'), '/')}`

  /** Echoes; after the end of what comes it says so. */
  const echoSockets = (ended = () => {}) => {
    upstream.server.removeAllListeners('upgrade')
    upstream.server.on('upgrade', (asked: IncomingMessage, socket: Socket) => {
      socket.allowHalfOpen = true
      socket.on('error', () => {})
      const accept = createHash('sha1').update(`${asked.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      socket.write(
        lines(
          'HTTP/1.1 101 Switching Protocols',
          'Connection: Upgrade',
          'Upgrade: websocket',
          `Sec-WebSocket-Accept: ${accept}`,
          `X-User: ${asked.headers['x-signet-username']}`,
        ),
      )
      socket.on('data', (chunk) => socket.write(chunk))
      socket.on('end', () => socket.end('bye'))
      socket.on('close', ended)
    })
  }

  test('a web socket carries any bytes both ways, and an end of one way leaves the other', async () => {
    echoSockets()
    const { socket, head, rest } = await openSocket('private', [cookie()])
    assert.match(head, /^HTTP\/1\.1 101 /)
    assert.match(head, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i)
    assert.match(head, /x-user: anna/i)
    assert.equal(head.match(/^upgrade:/gim)?.length, 1)
    const sent = randomBytes(2 * mib)
    const parts: Buffer[] = [rest]
    socket.on('data', (chunk: Buffer) => parts.push(chunk))
    socket.end(sent)
    await once(socket, 'end')
    const received = Buffer.concat(parts)
    assert.equal(received.subarray(-3).toString(), 'bye')
    assert.ok(received.subarray(0, -3).equals(sent))
  })

  test('a web socket wants a sign-in as any request does', async () => {
    echoSockets()
    const refused = await openSocket('private')
    assert.match(refused.head, /^HTTP\/1\.1 401 /)
    refused.socket.destroy()
    upstream.server.removeAllListeners('upgrade')
    upstream.server.on('upgrade', (_: IncomingMessage, socket: Socket) =>
      socket.end(lines('HTTP/1.1 426 Upgrade Required', 'Content-Length: 0', 'Connection: close')),
    )
    const declined = await openSocket('open')
    assert.match(declined.head, /^HTTP\/1\.1 426 /)
    declined.socket.destroy()
    upstream.server.on('upgrade', (_: IncomingMessage, socket: Socket) =>
      socket.end(lines('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: h2c')),
    )
    upstream.server.removeAllListeners('upgrade')
    upstream.server.on('upgrade', (_: IncomingMessage, socket: Socket) =>
      socket.end(lines('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: h2c')),
    )
    const other = await openSocket('open')
    assert.match(other.head, /^HTTP\/1\.1 502 /)
    other.socket.destroy()
  })

  const signInAgain = () =>
    signIn(signet, anna, { host: at('private'), start: '/outpost.signet/start', answers: { username: 'anna', password } })

  for (const [title, end, back] of [
    [
      'the session ends',
      () => signet.api('DELETE', `/api/v1/users/${annaId}/sessions`),
      async () => {
        await signInAgain()
      },
    ],
    [
      'the person may no longer use the application',
      () => setMembers([]),
      async () => {
        await setMembers(['anna'])
        await until(async () => (await anna.open(at('private'), '/')).status === 200, { withinMs: 5_000 })
      },
    ],
    [
      'the account is closed',
      () => signet.api('PATCH', `/api/v1/users/${annaId}`, { active: false }),
      async () => {
        await signet.api('PATCH', `/api/v1/users/${annaId}`, { active: true })
        await signInAgain()
      },
    ],
  ] as const)
    test(`what stays open ends within two seconds when ${title}`, async () => {
      let upstreamEnded = false
      echoSockets(() => {
        upstreamEnded = true
      })
      answering('/events', (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.flushHeaders()
      })
      const { socket } = await openSocket('private', [cookie()])
      const out = events('private', anna)
      out.on('error', () => {})
      out.end()
      const answer = await answerTo(out)
      assert.equal(answer.statusCode, 200)
      let ended = 0
      const count = () => {
        ended++
      }
      answer.on('error', () => {})
      answer.once('close', count)
      socket.on('error', () => {})
      socket.resume()
      socket.once('end', () => socket.destroy())
      socket.once('close', count)
      const done = await end()
      assert.ok(done.status < 300, done.text)
      await until(async () => ended === 2 && upstreamEnded, { withinMs: 2_000 })
      await back()
    })

  const setMembers = async (members: string[]) => {
    const { body } = await signet.api<{ items: { id: string; name: string }[] }>('GET', '/api/v1/groups?q=readers')
    return signet.api('PATCH', `/api/v1/groups/${body.items.find(({ name }) => name === 'readers')?.id}`, { members })
  }

  test('a server that stops does not wait for connections that stay', async () => {
    echoSockets()
    const { socket } = await openSocket('private', [cookie()])
    socket.on('error', () => {})
    const { code, afterMs } = await signet.kill('SIGTERM')
    assert.equal(code, 0)
    assert.ok(afterMs < 8_000, `${afterMs} ms`)
    socket.destroy()
  })
})
