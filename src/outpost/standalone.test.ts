import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { until } from '../../test/support/signet.ts'
import { protocol } from './message.ts'
import { openStandalone } from './standalone.ts'

const folder = mkdtempSync(join(tmpdir(), 'signet-standalone-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('who someone was is answered while core is away, not while it is there and merely fails', { timeout: 20_000 }, async () => {
  const anna = { id: 'a', username: 'anna', email: '', name: '', active: true, groups: [], attributes: {} }
  let stream: ServerResponse | undefined
  let fails = false
  let isAway = false
  const core = createServer((request, response) => {
    if (isAway) response.destroy()
    else if (request.url?.startsWith('/api/v1/outposts/stream')) {
      stream = response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      const hello = { type: 'hello', protocol, version: '1.0.0', outpost: 'default/edge' }
      for (const message of [hello, { type: 'applications', generation: '1', applications: [] }, { type: 'current' }])
        response.write(`${JSON.stringify(message)}\n`)
    } else if (!request.url?.endsWith('/person')) response.writeHead(204).end()
    else if (fails) response.writeHead(500).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ person: anna }))
  }).listen(0, '127.0.0.1')
  await once(core, 'listening')
  const standalone = await openStandalone({
    log: openLog('silent'),
    clock: () => new Date(),
    server: `http://127.0.0.1:${(core.address() as AddressInfo).port}`,
    token: new Secret('signet_a-token-of-an-outpost'),
    outpost: undefined,
    dataDir: folder,
    version: '1.0.0',
  })
  const { findPerson } = standalone.core
  await until(() => standalone.state().isConnected)
  assert.deepEqual(await findPerson('a'), anna)
  fails = true
  await assert.rejects(findPerson('a'), /core answered 500/)
  isAway = true
  stream?.destroy()
  await until(() => !standalone.state().isConnected)
  assert.deepEqual(await findPerson('a'), anna)
  await assert.rejects(findPerson('b'))
  await standalone.close()
  core.close()
  core.closeAllConnections()
})
