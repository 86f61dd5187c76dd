/** What HTTP/2 lets a stranger say that HTTP/1.1 does not, and what only costs: nothing passes, and everyone else is still served. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Upstream } from '../support/guarded.ts'
import { ask2, endings, type Frame, flags, frame, headerBlock, rawFrames } from '../support/http2.ts'
import { type SecureSite, startSecureSite } from '../support/secure_site.ts'
import type { Signet } from '../support/signet.ts'

type Header = [name: string, value: string]

describe('hostile requests of HTTP/2', () => {
  let site: SecureSite
  let signet: Signet
  let upstream: Upstream
  let port: number
  let host: string
  let app: string

  before(async () => {
    site = await startSecureSite()
    ;({ signet, upstream, port, host, app } = site)
  })
  after(async () => {
    await site?.stop()
  })

  const usual = (path = '/oauth2/jwks'): Header[] => [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', path],
    [':authority', host],
  ]
  const changed = (headers: Header[], name: string, value: string | undefined): Header[] =>
    headers.flatMap(([known, given]): Header[] => (known !== name ? [[known, given]] : value === undefined ? [] : [[known, value]]))
  const opening = (stream: number, headers: Header[], flag: number = flags.endHeaders + flags.endStream) =>
    frame('headers', flag, stream, headerBlock(headers))
  const isOver = (frames: Frame[]) =>
    frames.some(
      ({ type, flag, stream }) =>
        stream === 1 && (type === 'rst_stream' || (flag & flags.endStream && (type === 'data' || type === 'headers'))),
    )
  /** The status of the answer (as HPACK has it), or how the stream ended. */
  const outcome = async (bytes: Buffer): Promise<string> => {
    const frames = await rawFrames(port, bytes, { enough: isOver })
    const first = frames.find(({ type, stream }) => type === 'headers' && stream === 1)
    const [ended = 'closed'] = endings(frames)
    return first ? statusOf(first) : ended
  }
  /** RFC 7541 appendix A: the statuses of the static table, else a literal with the name of entry 8. */
  const statusOf = ({ payload }: Frame): string => {
    const known = ['200', '204', '206', '304', '400', '404', '500'][(payload[0] ?? 0) - 0x88]
    if (known) return known
    const length = (payload[1] ?? 0) & 0x7f
    const bytes = payload.subarray(2, 2 + length)
    return (payload[1] ?? 0) & 0x80 ? fromDigits(bytes) : bytes.toString()
  }
  /** Huffman codes of the digits: 0 to 2 have five bits, 3 to 9 six (RFC 7541 appendix B). */
  const fromDigits = (bytes: Buffer): string => {
    const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
    let text = ''
    for (let at = 0; text.length < 3; ) {
      const short = Number.parseInt(bits.slice(at, at + 5), 2)
      text += short <= 2 ? short : Number.parseInt(bits.slice(at, at + 6), 2) - 0x19 + 3
      at += short <= 2 ? 5 : 6
    }
    return text
  }
  const served = async () => assert.equal((await ask2(port, { ':path': '/oauth2/jwks', ':authority': host })).status, 200)

  const protocolError = 'rst_stream 1'
  const malformed: [title: string, headers: () => Header[], expected: string][] = [
    ['what everyone sends is answered', () => usual(), '200'],
    ['a name in upper case', () => [...usual(), ['X-Forwarded-For', '10.0.0.1']], protocolError],
    ['Connection', () => [...usual(), ['connection', 'close']], protocolError],
    ['Transfer-Encoding', () => [...usual(), ['transfer-encoding', 'chunked']], protocolError],
    ['Upgrade', () => [...usual(), ['upgrade', 'websocket']], protocolError],
    ['Keep-Alive', () => [...usual(), ['keep-alive', 'timeout=5']], protocolError],
    ['Proxy-Connection', () => [...usual(), ['proxy-connection', 'keep-alive']], protocolError],
    ['TE of anything but trailers', () => [...usual(), ['te', 'gzip']], protocolError],
    ['a line end in the path', () => usual('/oauth2/jwks\r\nx: y'), protocolError],
    ['no path', () => changed(usual(), ':path', undefined), protocolError],
    ['an empty path', () => usual(''), protocolError],
    ['a path in absolute form', () => usual('https://localhost/oauth2/jwks'), protocolError],
    ['an asterisk of another method', () => usual('*'), protocolError],
    ['a fragment', () => usual('/oauth2/jwks#x'), '400'],
    ['white space in the path', () => usual('/oauth2/ jwks'), protocolError],
    ['two paths', () => [...usual(), [':path', '/other']], protocolError],
    ['two authorities', () => [...usual(), [':authority', 'evil.example']], protocolError],
    ['a pseudo-header nobody knows', () => [...usual(), [':other', 'x']], protocolError],
    ['a pseudo-header after the others', () => [...usual().slice(0, 3), ['x-a', 'b'], [':authority', host]], protocolError],
    ['another scheme', () => changed(usual(), ':scheme', 'http'), '400'],
    ['an unknown host', () => changed(usual(), ':authority', 'evil.example'), '421'],
    ['an authority with a user', () => changed(usual(), ':authority', `a@${host}`), protocolError],
    ['no host at all', () => changed(usual(), ':authority', undefined), protocolError],
    ['a Host that differs', () => [...usual(), ['host', 'evil.example']], '400'],
    ['two Hosts', () => [...changed(usual(), ':authority', undefined), ['host', host], ['host', 'evil.example']], protocolError],
    ['a Host that is the same', () => [...usual(), ['host', host]], '200'],
    ['X-Forwarded-Host of a stranger', () => [...changed(usual(), ':authority', 'evil.example'), ['x-forwarded-host', host]], '421'],
    ['two lengths', () => [...usual(), ['content-length', '0'], ['content-length', '1']], protocolError],
    ['a length without a body', () => [...usual(), ['content-length', '10']], protocolError],
    [
      'CONNECT',
      () => [
        [':method', 'CONNECT'],
        [':authority', host],
      ],
      '405',
    ],
    [
      'a web socket over HTTP/2, which is not offered',
      () => [...changed(usual(), ':method', 'CONNECT'), [':protocol', 'websocket'], ['sec-websocket-version', '13']],
      protocolError,
    ],
    ['too many headers', () => [...usual(), ...Array.from({ length: 400 }, (_, index): Header => [`x-${index}`, 'y'])], 'rst_stream 11'],
    [
      'large headers within the bound',
      () => [...usual(), ...Array.from({ length: 12 }, (_, index): Header => [`x-${index}`, 'y'.repeat(1_000)])],
      '200',
    ],
  ]
  for (const [title, headers, expected] of malformed)
    it(`${title}: ${expected}`, async () => assert.equal(await outcome(opening(1, headers())), expected))

  const unwritable: [title: string, header: Header][] = [
    ['a line end in a value', ['x-a', 'b\r\nx-signet-username: admin']],
    ['a lone line feed in a value', ['x-a', 'b\nx-signet-username: admin']],
    ['a NUL in a value', ['x-a', 'b\0c']],
    ['white space around a value', ['x-a', ' b']],
    ['a space in a name', ['x a', 'b']],
    ['a colon in a name', ['x-a:b', 'c']],
    ['a line end in a name', ['x-a\r\nx-b', 'c']],
  ]
  for (const [index, [title, header]] of unwritable.entries())
    it(`no application is told of ${title}`, async () => {
      const path = `/open/unwritable/${index}`
      const headers: Header[] = [...changed(usual(path), ':authority', app), ['x-before', '1'], header, ['x-after', '2']]
      // What can't be written is left out, as if it had not come.
      assert.equal(await outcome(opening(1, headers)), '200')
      const { url, raw = [] } = upstream.last() ?? {}
      assert.equal(url, path)
      const names = raw.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())
      const expected = [
        'connection',
        'host',
        'x-after',
        'x-before',
        'x-forwarded-for',
        'x-forwarded-host',
        'x-forwarded-proto',
        'x-request-id',
      ]
      assert.deepEqual(names.sort(), expected)
    })

  it('a body longer than its length ends the stream', async () => {
    const bytes = Buffer.concat([
      opening(1, [...changed(usual('/oauth2/token'), ':method', 'POST'), ['content-length', '3']], flags.endHeaders),
      frame('data', flags.endStream, 1, Buffer.from('a=b&c=d')),
    ])
    // Node 24 ends the whole connection.
    assert.ok([protocolError, 'goaway 2'].includes(await outcome(bytes)))
  })

  it('headers over the bound of 32 KiB are not taken', async () => {
    const block = headerBlock([...usual(), ...Array.from({ length: 40 }, (_, index): Header => [`x-${index}`, 'y'.repeat(1_000)])])
    const parts: Buffer[] = []
    for (let at = 0; at < block.length; at += 16_000) parts.push(block.subarray(at, at + 16_000))
    const bytes = Buffer.concat(
      parts.map((part, index) =>
        frame(
          index === 0 ? 'headers' : 'continuation',
          (index === parts.length - 1 ? flags.endHeaders : 0) + (index === 0 ? flags.endStream : 0),
          1,
          part,
        ),
      ),
    )
    assert.equal(await outcome(bytes), '431')
    await served()
  })

  const floods: [title: string, bytes: () => Buffer][] = [
    [
      'streams that are reset as soon as they are opened (CVE-2023-44487)',
      () =>
        Buffer.concat(
          Array.from({ length: 2_000 }, (_, index) =>
            Buffer.concat([opening(2 * index + 1, usual()), frame('rst_stream', 0, 2 * index + 1, Buffer.from([0, 0, 0, 8]))]),
          ),
        ),
    ],
    [
      'continuations without end (CVE-2024-27983)',
      () =>
        Buffer.concat([
          frame('headers', flags.endStream, 1, headerBlock(usual())),
          ...Array.from({ length: 1_000 }, () => frame('continuation', 0, 1, headerBlock([['x', 'y']]))),
        ]),
    ],
    ['settings with too many entries', () => frame('settings', 0, 0, Buffer.alloc(6 * 100))],
    [
      'frames on streams that nobody opened',
      () => Buffer.concat(Array.from({ length: 2_000 }, () => frame('data', 0, 1, Buffer.from('x')))),
    ],
    [
      'a window that overflows',
      () => Buffer.concat(Array.from({ length: 3 }, () => frame('window_update', 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])))),
    ],
    ['what is no HTTP/2', () => Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')],
  ]
  for (const [title, bytes] of floods)
    it(`ends the connection: ${title}`, async () => {
      // Resolves when the server has ended it.
      await rawFrames(port, bytes())
      await served()
    })

  it('serves others while one floods it with pings and settings', async () => {
    const flood = Buffer.concat(
      Array.from({ length: 20_000 }, (_, index) => (index % 2 ? frame('ping', 0, 0, Buffer.alloc(8)) : frame('settings', 0, 0))),
    )
    let isServed = false
    const flooding = rawFrames(port, flood, { enough: () => isServed })
    await served()
    isServed = true
    await flooding
  })

  it('refuses streams over the hundred it takes at once', async () => {
    // Without their bodies they stay open.
    const bytes = Buffer.concat(
      Array.from({ length: 130 }, (_, index) =>
        opening(2 * index + 1, [...changed(usual('/oauth2/token'), ':method', 'POST'), ['content-length', '5']], flags.endHeaders),
      ),
    )
    const frames = await rawFrames(port, bytes, { enough: (seen) => endings(seen).length >= 30 })
    assert.deepEqual([...new Set(endings(frames))], ['rst_stream 7'])
    await served()
  })

  it('hands no claim of a stranger to an application, in whatever form', async () => {
    const claims = {
      'x-signet-username': 'admin',
      x_signet_groups: 'admins',
      'remote-user': 'admin',
      'remote-groups': 'admins',
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'evil.example',
      forwarded: 'for=10.0.0.1;host=evil.example',
      'x-real-ip': '10.0.0.1',
      'x-client-cert': 'MII',
      'ssl-client-verify': 'SUCCESS',
      'x-ssl-client-dn': 'CN=admin',
      'client-cert': ':MII:',
      'x-original-url': '/admin',
      te: 'trailers',
    }
    const { status } = await ask2(port, { ':path': '/open', ':authority': app, cookie: ['a=1', 'b=2'], ...claims })
    assert.equal(status, 200)
    const told = upstream.last()
    assert.deepEqual(
      Object.keys(told?.headers ?? {}).sort(),
      ['connection', 'cookie', 'host', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-request-id'].sort(),
    )
    assert.equal(told?.headers.cookie, 'a=1; b=2')
    assert.equal(told?.headers['x-forwarded-for'], '127.0.0.1')
    assert.equal(told?.headers['x-forwarded-proto'], 'https')
    assert.equal(told?.headers['x-forwarded-host'], app)
    assert.equal(told?.headers.host, app)
  })

  it('has lost no process and told nothing on standard error', () => {
    assert.ok(signet.isAlive())
    assert.doesNotMatch(signet.logs(), /Warning|"level":"fatal"|at .*\.ts:\d+:\d+/)
  })
})
