import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { chooseEncoding, openStaticFile } from './static_file.ts'

const text = 'body { color: red }\n'.repeat(500)
const answer = openStaticFile({ type: 'text/css', text })
const server = createServer(answer)
before(() => once(server.listen(0, '127.0.0.1'), 'listening'))
after(() => server.close())

const get = (headers: Record<string, string>, method = 'GET') =>
  new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    const { port } = server.address() as AddressInfo
    request({ host: '127.0.0.1', port, method, headers, agent: false }, (got) => {
      const chunks: Buffer[] = []
      got.on('data', (chunk) => chunks.push(chunk))
      got.on('end', () => resolve({ status: got.statusCode ?? 0, headers: got.headers, body: Buffer.concat(chunks) }))
    })
      .on('error', reject)
      .end()
  })

for (const [accepted, encoding, read] of [
  ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
  ['gzip', 'gzip', gunzipSync],
  ['identity', undefined, (body: Buffer) => body],
] as const)
  test(`who accepts ${accepted} gets ${encoding ?? 'the bare text'}, kept for ever, and not again`, async () => {
    const { status, headers, body } = await get({ 'accept-encoding': accepted })
    assert.equal(status, 200)
    assert.equal(headers['content-encoding'], encoding)
    assert.equal(headers['content-type'], 'text/css; charset=utf-8')
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
    assert.equal(headers.vary, 'accept-encoding')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(read(body).toString(), text)
    const again = await get({ 'accept-encoding': accepted, 'if-none-match': `"other", W/${headers.etag}` })
    assert.equal(again.status, 304)
    assert.equal(again.headers.etag, headers.etag)
    assert.equal(again.body.length, 0)
    const head = await get({ 'accept-encoding': accepted }, 'HEAD')
    assert.equal(head.headers['content-length'], String(body.length))
    assert.equal(head.body.length, 0)
  })

test('what could not be compressed is compressed for the next who asks', async () => {
  let asked = 0
  const once = async (bytes: Buffer) => {
    if (asked++ === 0) throw new Error('no memory')
    return bytes
  }
  const fragile = openStaticFile({ type: 'text/css', text }, { br: once, gzip: once, identity: once })
  server.removeAllListeners('request').on('request', fragile)
  try {
    await assert.rejects(get({ 'accept-encoding': 'br' }))
    assert.equal((await get({ 'accept-encoding': 'br' })).status, 200)
    assert.equal((await get({ 'accept-encoding': 'br' })).status, 200)
    assert.equal(asked, 2)
  } finally {
    server.removeAllListeners('request').on('request', answer)
  }
})

test('each encoding has a tag of its own', async () => {
  const tags = await Promise.all(
    ['br', 'gzip', 'identity'].map(async (accepted) => (await get({ 'accept-encoding': accepted })).headers.etag),
  )
  assert.equal(new Set(tags).size, 3)
  assert.equal((await get({ 'accept-encoding': 'gzip', 'if-none-match': tags[0] ?? '' })).status, 200)
})

for (const [accepted, expected] of [
  [undefined, 'identity'],
  ['', 'identity'],
  ['*', 'br'],
  ['br;q=0, gzip', 'gzip'],
  ['br;q=0.1, gzip;q=0.9', 'gzip'],
  ['br;q=0.000, *;q=0.1', 'gzip'],
  ['GZIP', 'gzip'],
  ['gzipped, brotli', 'identity'],
  ['br;q=nonsense', 'identity'],
] as const)
  test(`Accept-Encoding ${accepted} chooses ${expected}`, () => assert.equal(chooseEncoding(accepted), expected))
