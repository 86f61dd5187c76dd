import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { OutboundRefused, openOutbound, outboundMatcher, privateNetworks } from './outbound.ts'

describe('outboundMatcher', () => {
  const nothing = outboundMatcher([])
  const internal = outboundMatcher(privateNetworks)
  for (const address of ['93.184.216.34', '2606:2800:220:1::1'])
    it(`lets ${address} be called by anyone`, () => assert.equal(nothing(address), true))
  for (const address of ['127.0.0.1', '10.1.2.3', '192.168.0.1', '172.16.0.1', '::1', 'fd00::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1'])
    it(`${address} wants to be allowed`, () => assert.deepEqual([nothing(address), internal(address)], [false, true]))
  for (const address of [
    '169.254.169.254',
    '0.0.0.0',
    '100.64.0.1',
    '224.0.0.1',
    'fe80::1',
    '64:ff9b::7f00:1',
    '::ffff:169.254.169.254',
    'not an address',
  ])
    it(`${address} is not called, not even with the private networks allowed`, () =>
      assert.deepEqual([nothing(address), internal(address)], [false, false]))
  it('metadata addresses are called only when named', () => {
    assert.equal(outboundMatcher(['169.254.0.0/16'])('169.254.169.254'), false)
    assert.equal(outboundMatcher(['169.254.169.254'])('169.254.169.254'), true)
    assert.equal(outboundMatcher(['169.254.169.254/32'])('169.254.169.254'), true)
    for (const address of ['169.254.170.23', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254'])
      assert.equal(outboundMatcher([...privateNetworks, '169.254.0.0/16'])(address), false, address)
  })
})

describe('outbound.fetch', () => {
  let server: Server
  let url: string
  before(async () => {
    server = createServer((request, response) => {
      if (request.url === '/redirect') response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end()
      else if (request.url === '/large') response.end('x'.repeat(100_000))
      else if (request.url === '/packed') response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(1_000_000)))
      else if (request.url === '/slow') setTimeout(() => response.end('late'), 3_000)
      else response.end('here')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  it('reaches what is allowed, by address and by name', async () => {
    const outbound = openOutbound({ allowed: ['127.0.0.0/8', '::1'] })
    assert.equal(await (await outbound.fetch(`http://127.0.0.1${url}/`)).text(), 'here')
    assert.equal(await (await outbound.fetch(`http://localhost${url}/`)).text(), 'here')
    await outbound.close()
  })
  it('refuses by address and by name, follows no redirect to what is refused, and is bounded in size and time', async () => {
    const nobody = openOutbound({ allowed: [] })
    await assert.rejects(nobody.fetch(`http://127.0.0.1${url}/`))
    await assert.rejects(nobody.fetch(`http://localhost${url}/`))
    await assert.rejects(nobody.fetch(`http://[::ffff:127.0.0.1]${url}/`))
    await nobody.close()
    const outbound = openOutbound({ allowed: ['127.0.0.0/8'], maxBytes: 10_000, timeoutMs: 1_000 })
    await assert.rejects(outbound.fetch(`http://127.0.0.1${url}/redirect`))
    await assert.rejects(async () => (await outbound.fetch(`http://127.0.0.1${url}/large`)).text())
    // A thousand bytes over the wire.
    await assert.rejects(async () => (await outbound.fetch(`http://127.0.0.1${url}/packed`)).text(), OutboundRefused)
    await assert.rejects(outbound.fetch(`http://127.0.0.1${url}/slow`))
    await outbound.close()
  })
})
