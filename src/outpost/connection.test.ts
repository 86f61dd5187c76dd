import assert from 'node:assert/strict'
import { Agent, createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { type Connection, openConnection, pauseBefore, type Refused } from './connection.ts'
import { type Message, protocol } from './message.ts'

const hello = { type: 'hello', protocol, version: '1.0.0', outpost: 'default/edge' }
const ndjson = (response: ServerResponse, ...messages: object[]) => {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  for (const message of messages) response.write(`${JSON.stringify(message)}\n`)
}

interface Posts {
  agent: Agent
  post: (path: string, response: ServerResponse) => void
}

const closing: (() => void)[] = []
after(() => {
  for (const close of closing) close()
})

/** Core as the test would have it: each stream is answered by the next of these, and then by the last again. */
const connect = async (
  streams: ((response: ServerResponse, query: URLSearchParams) => void)[],
  log = openLog('silent'),
  { agent, post = (_path, response) => response.writeHead(204).end() }: Partial<Posts> = {},
) => {
  let asked = 0
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://core')
    if (url.pathname !== '/api/v1/outposts/stream') post(url.pathname, response)
    else streams[Math.min(asked++, streams.length - 1)]?.(response, url.searchParams)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const taken: Message[] = []
  let told = () => {}
  const refused = Promise.withResolvers<Refused>()
  const connection: Connection = openConnection({
    log,
    clock: () => new Date(),
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: new Secret('signet_a-token-of-an-outpost'),
    version: '1.0.0',
    outpost: undefined,
    instance: crypto.randomUUID(),
    hostname: 'here',
    agent,
    seen: () => String(taken.length),
    generation: () => '1',
    take: (message) => {
      taken.push(message)
      told()
    },
    onRefused: refused.resolve,
  })
  closing.push(() => {
    connection.close()
    server.close()
    server.closeAllConnections()
  })
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (holds()) resolve()
      }
      told = look
      look()
    })
  return { connection, taken, until, refused: refused.promise, asked: () => asked }
}

test('pauses grow, have a bound, and are never the same for all', () => {
  assert.deepEqual(
    [0, 1, 2, 5, 6, 1_000].map((failures) => [pauseBefore(failures, 0), pauseBefore(failures, 1)]),
    [
      [125, 250],
      [250, 500],
      [500, 1_000],
      [4_000, 8_000],
      [7_500, 15_000],
      [7_500, 15_000],
    ],
  )
})

test('a line that breaks is begun anew, and goes on where it was', async () => {
  const asked: string[] = []
  const { connection, taken, until } = await connect([
    (response, query) => {
      asked.push(query.get('after') ?? '', query.get('outpost') ?? '')
      ndjson(response, hello, { type: 'current' })
      response.end('{"type":"half')
    },
    (response, query) => {
      asked.push(query.get('after') ?? '', query.get('outpost') ?? '')
      ndjson(response, hello, { type: 'current' })
    },
  ])
  await until(() => taken.length === 4)
  assert.deepEqual(asked, ['0', '', '2', 'default/edge'])
  assert.ok(connection.isCurrent() && !connection.isAway())
})

test('a line may come in any pieces', async () => {
  const text = `${JSON.stringify({ ...hello, outpost: 'default/ä' })}\n${JSON.stringify({ type: 'current' })}\n`
  const { connection, until } = await connect([
    (response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      for (const byte of Buffer.from(text)) response.write(Buffer.from([byte]))
    },
  ])
  await until(() => connection.isCurrent())
  assert.equal(connection.outpost(), 'default/ä')
})

const refusals: [status: number, contentType: string, isFinal: boolean][] = [
  [401, 'application/problem+json', true],
  [403, 'application/problem+json', true],
  [404, 'application/problem+json', true],
  [409, 'application/problem+json', true],
  [401, 'text/html', false],
  [404, 'text/html', false],
  [429, 'application/problem+json', false],
  [500, 'application/problem+json', false],
  [503, 'application/problem+json', false],
  [200, 'text/html', false],
]
for (const [status, contentType, isFinal] of refusals)
  test(`${status} as ${contentType} is ${isFinal ? 'final' : 'tried again'}`, async () => {
    const { connection, refused, until, taken } = await connect([
      (response) => response.writeHead(status, { 'content-type': contentType }).end('{"title":"t","detail":"so it is"}'),
      (response) => ndjson(response, hello, { type: 'current' }),
    ])
    if (isFinal) assert.deepEqual({ ...(await refused), message: (await refused).message }, { status, message: 'so it is' })
    else {
      await until(() => taken.length === 2)
      assert.ok(connection.isCurrent())
    }
  })

test('what never was refused is not given up for a protocol that another server speaks', async () => {
  const { connection, taken, until, asked } = await connect([
    (response) => {
      ndjson(response, hello, { type: 'current' })
      response.end()
    },
    (response) => response.writeHead(409, { 'content-type': 'application/problem+json' }).end('{"detail":"another protocol"}'),
    (response) => ndjson(response, hello, { type: 'current' }),
  ])
  await until(() => taken.length === 4)
  assert.equal(asked(), 3)
  assert.ok(connection.isCurrent())
})

test('what core says that is no message, or speaks another protocol, breaks the line', async () => {
  for (const wrong of ['not json\n', `${JSON.stringify({ ...hello, protocol: protocol + 1 })}\n`]) {
    const { taken, until } = await connect([
      (response) => {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' })
        response.write(wrong)
      },
      (response) => ndjson(response, hello, { type: 'current' }),
    ])
    await until(() => taken.length === 2)
  }
})

test('the log says nothing of what stood in a line that is not understood', async () => {
  const lines: string[] = []
  const { taken, until } = await connect(
    [
      (response) => {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' })
        response.write('{"cookieKey":"a-secret-key"\n')
      },
      (response) => ndjson(response, hello, { type: 'current' }),
    ],
    openLog('debug', { write: (line: string) => void lines.push(line) }),
  )
  await until(() => taken.length === 2)
  assert.ok(lines.some((line) => line.includes('outpost.stream.unread')))
  assert.doesNotMatch(lines.join(''), /secret|cookieKey/)
})

test('core that has fallen silent is left within ten seconds', { timeout: 20_000 }, async () => {
  const began = performance.now()
  const { taken, until } = await connect([
    (response) => ndjson(response, hello, { type: 'current' }),
    (response) => ndjson(response, hello, { type: 'current' }),
  ])
  await until(() => taken.length === 4)
  const ms = performance.now() - began
  assert.ok(ms > 7_000 && ms < 10_000, `${ms} ms`)
})

test('its beat waits behind nothing that is asked', { timeout: 20_000 }, async () => {
  const beaten = Promise.withResolvers<void>()
  const program = Promise.withResolvers<void>()
  const agent = new Agent({ maxSockets: 1 })
  const { connection } = await connect(
    [
      (response) => {
        ndjson(response, hello)
        // Told it is current only when what is asked hangs already.
        void program.promise.then(() => ndjson(response, { type: 'current' }))
      },
    ],
    openLog('silent'),
    {
      agent,
      post: (path, response) => {
        if (path.endsWith('/program')) return program.resolve()
        response.writeHead(204).end()
        if (path.endsWith('/beat')) beaten.resolve()
      },
    },
  )
  const asked = [1, 2, 3].map((index) => connection.post('program', { token: `${index}` }))
  await beaten.promise
  agent.destroy()
  await Promise.allSettled(asked)
})
