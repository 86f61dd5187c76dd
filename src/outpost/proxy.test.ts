/** Connections to an application on which a request was not sent whole. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { until } from '../../test/support/signet.ts'
import type { GuardedApplication } from './core.ts'
import { openProxy } from './proxy.ts'

const upstream = createServer()
const front = createServer()
const proxy = openProxy({ log: openLog('silent') })

const listening = async (server: typeof upstream): Promise<number> => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

before(async () => {
  const upstreamUrl = `http://127.0.0.1:${await listening(upstream)}`
  const application = {
    key: 'default/app',
    origin: 'http://app.example.com',
    path: '',
    upstreamUrl,
    headers: {},
    upstream: { hostHeader: 'external', connectMs: 5_000, responseMs: 5_000, idleMs: 5_000 },
    // All that is asked of it here.
  } as unknown as GuardedApplication
  front.on('request', (asked: IncomingMessage, response: ServerResponse) => {
    // As if it had been announced so, and whoever read it had not noticed that it ended before.
    if (asked.method === 'POST') asked.headers['content-length'] = '100'
    proxy.pass(asked, response, {
      application,
      address: { host: 'app.example.com', path: asked.url ?? '', query: '' },
      caller: { network: '127.0.0.1', requestId: 'r', host: 'app.example.com', isTrusted: false },
      identity: {},
      stated: new Set(),
      authorization: undefined,
      staying: () => () => {},
    })
  })
})
after(() => {
  proxy.close()
  front.close()
  front.closeAllConnections()
  upstream.close()
  upstream.closeAllConnections()
})

test('a body shorter than it was announced ends its connection, and is no part of the request after it', { timeout: 20_000 }, async () => {
  const port = await listening(front)
  const seen: string[] = []
  const held: ServerResponse[] = []
  upstream.on('request', (asked: IncomingMessage, response: ServerResponse) => {
    seen.push(`${asked.method} ${asked.url}`)
    asked.on('error', () => {})
    asked.once('end', () => seen.push('whole'))
    asked.once('aborted', () => seen.push('cut'))
    asked.resume()
    if (asked.method === 'POST') held.push(response)
    else response.end('answered')
  })
  const posting = request({ port, host: '127.0.0.1', method: 'POST', path: '/short', headers: { 'content-length': 10 } })
  posting.on('error', () => {})
  posting.write('01234')
  await until(() => held.length === 1)
  posting.end('56789')
  await until(() => seen.length > 1, { withinMs: 3_000 }).catch(() => {})
  held[0]?.end('late')
  const answer = await fetch(`http://127.0.0.1:${port}/next`, { signal: AbortSignal.timeout(5_000) })
  assert.equal(await answer.text(), 'answered')
  assert.deepEqual(seen.slice(0, 3), ['POST /short', 'cut', 'GET /next'])
  posting.destroy()
})
