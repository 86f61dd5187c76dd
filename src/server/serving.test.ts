/** What is said and logged of requests that no part answers by itself. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#/lib/clock.ts'
import { openLog } from '#/lib/log.ts'
import { makeAuthority } from '../../test/support/authority.ts'
import { ask2 } from '../../test/support/http2.ts'
import { until } from '../../test/support/signet.ts'
import { answerHealth } from './answer_health.ts'
import { openCertificates } from './certificates.ts'
import { closeServer, openListener } from './listener.ts'
import { type Handle, openParts } from './parts.ts'
import { serve } from './serving.ts'
import { openTlsListener } from './tls_listener.ts'

const unused: Handle = () => assert.fail('it is not asked')

const open = (outpost: Handle, guardedPrefix: () => number | undefined) => {
  const lines: string[] = []
  const handle = serve({
    log: openLog('info', { write: (line) => lines.push(line) }),
    answered: () => {},
    parts: { outpost, oidc: unused, core: unused },
    authServerFor: () => undefined,
    guardedPrefix,
    isTrustedProxy: () => false,
  })
  const logged = () => lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'http.request')
  return { handle, logged }
}

const listening = async (t: TestContext, handle: Handle): Promise<string> => {
  const server = createServer(handle)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('an answer in the place of an outpost that can not be opened has the id that is logged', async (t) => {
  const parts = openParts({
    programs: {
      outpost: async () => async () => {
        throw new Error('the database is away')
      },
    },
    onFault: () => {},
  })
  const { handle, logged } = open(parts.handle.outpost, () => 0)
  const { status, headers } = await fetch(await listening(t, handle))
  assert.equal(status, 503)
  const [line] = await until(() => (logged().length ? logged() : undefined))
  assert.ok(headers.get('x-request-id'))
  assert.equal(headers.get('x-request-id'), line?.['signet.request_id'])
})

test('whether it is ready is answered also where that can not be found out', async (t) => {
  const lost = async () => {
    throw new Error('no memory')
  }
  const url = await listening(t, (request, response) => answerHealth(request, response, lost, () => false))
  const { status, headers } = await fetch(`${url}/-/health/ready`, { signal: AbortSignal.timeout(5_000) })
  assert.equal(status, 503)
  assert.equal(headers.get('cache-control'), 'no-store')
})

test('the address of who is refused over HTTP/2 is logged', async (t) => {
  const { cert, key } = await (await makeAuthority(new Date())).issue('localhost')
  const { handle, logged } = open(unused, () => undefined)
  const http1 = openListener(handle)
  const certificates = openCertificates({
    fallback: { certificate: cert, privateKey: key },
    pairs: new Map(),
    host: 'localhost',
    log: openLog('silent'),
    clock: systemClock,
  })
  // As far as the router asks they are those of HTTP/1.1.
  const listener = openTlsListener({
    http1,
    handle: (request, response) => handle(request as unknown as IncomingMessage, response as unknown as ServerResponse),
    certificates,
  })
  t.after(() => Promise.all([listener.close(0), closeServer(http1, 0)]))
  const { port } = await listener.listen(0, '127.0.0.1')
  assert.equal((await ask2(port, { ':path': '/' })).status, 421)
  const [line] = await until(() => (logged().length ? logged() : undefined))
  assert.equal(line?.['client.address'], '127.0.0.1')
})
