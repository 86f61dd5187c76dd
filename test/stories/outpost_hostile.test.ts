/** What strangers and signed-in people send an outpost to be let through where they should not: nothing passes, and every error refuses. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, type Guest, openGuest, page, signIn, startUpstream, type Upstream } from '../support/guarded.ts'
import { newVisitor, type Visitor, walk } from '../support/http.ts'
import { lines, raw, statuses } from '../support/raw.ts'
import { type Signet, startSignet, until } from '../support/signet.ts'

const password = 'correct horse battery'

describe('hostile requests to the outpost', () => {
  let signet: Signet
  let upstream: Upstream
  let anna: Guest
  const people: Record<string, string> = {}
  const at = (name: string) => `${name}.localhost:${signet.port}`

  const application = (name: string, externalUrl: string, proxy: string, access = '') => `
apiVersion: signet.dev/v1alpha1
kind: Application
metadata: { name: ${name}, namespace: default }
spec:
  displayName: ${name}
  authServerRef: { name: default }
  ${access}
  proxy: { externalUrl: '${externalUrl}', ${proxy} }
---`

  before(async () => {
    signet = await startSignet()
    upstream = await startUpstream()
    for (const username of ['anna', 'carl']) {
      const made = await signet.api<{ id: string }>('POST', '/api/v1/users', { username, name: username, email: `${username}@example.com` })
      people[username] = made.body.id
      await signet.api('POST', `/api/v1/users/${made.body.id}/password`, { password })
    }
    await signet.api('POST', '/api/v1/groups', { name: 'admins' })
    await signet.api('POST', '/api/v1/groups', { name: 'readers', members: ['anna', 'carl'] })
    const to = `upstreamUrl: 'http://127.0.0.1:${upstream.port}'`
    const admins = 'access: { groups: [admins] }'
    await signet.apply(
      [
        application(
          'wiki',
          `http://${at('wiki')}`,
          `mode: proxy, ${to}, publicPaths: ['/health', '/static/.*'], headers: { remoteUser: true, jwt: true }`,
        ),
        application('many', `http://${at('many')}`, `mode: proxy, ${to}`),
        application('plain', `http://${at('plain')}`, 'mode: forward_single'),
        application('site', `http://${at('site')}`, 'mode: forward_single'),
        application('site-admin', `http://${at('site')}/admin`, 'mode: forward_single', admins),
        application('gate', `http://${at('gate')}`, `mode: proxy, ${to}, publicPaths: ['/.*']`),
        application(
          'gate-admin',
          `http://${at('gate')}/admin`,
          `mode: proxy, upstreamUrl: 'http://127.0.0.1:${upstream.port}/admin'`,
          admins,
        ),
        application('one', `http://${at('one.apps')}`, 'mode: forward_domain, cookieDomain: apps.localhost'),
        application('two', `http://${at('two.apps')}`, 'mode: forward_domain, cookieDomain: apps.localhost', admins),
        application('slow', `http://${at('slow')}`, `mode: proxy, ${to}, publicPaths: ['/(a*)*b']`),
        application('slower', `http://${at('slower')}`, `mode: proxy, ${to}, publicPaths: ['/a*a*a*a*a*a*(?=c)']`),
        application('escape', `http://${at('escape')}`, `mode: proxy, ${to}, publicPaths: ['/a)|(?:.*']`),
      ].join(''),
    )
    anna = openGuest(signet.port)
    for (const host of ['wiki', 'plain', 'site', 'one.apps'])
      await signIn(signet, anna, { host: at(host), start: '/outpost.signet/start?rd=/', answers: { username: 'anna', password } })
  })
  after(async () => {
    await signet?.stop()
    await upstream?.stop()
  })

  const refused = (status: number, what: string) => assert.ok(status >= 400 && status < 500, `${what}: ${status}`)
  /** A program is told no, where a browser would be sent to sign in. */
  const script = { accept: 'application/json', 'sec-fetch-mode': 'cors' }
  const headerNames = (name: string): string[] => [
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    [...name].map((letter, index) => (index % 2 ? letter.toUpperCase() : letter.toLowerCase())).join(''),
    name.replaceAll('-', '_'),
    name.toUpperCase().replaceAll('-', '_'),
    name.replace('-', '_'),
    name.replaceAll('-', '.'),
    name.replaceAll('-', '~'),
    name.replaceAll('-', '!'),
  ]

  /** Values that the application was told under a name that reads as one of these. */
  const toldAs = (name: string): string[] => {
    const { raw: told } = upstream.last() ?? { raw: [] }
    const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '-')
    return told.filter((_, index) => index % 2 === 1 && plain(told[index - 1] ?? '') === plain(name))
  }

  for (const name of [
    'X-Signet-Username',
    'X-Signet-Email',
    'X-Signet-Name',
    'X-Signet-Groups',
    'X-Signet-Uid',
    'X-Signet-Entitlements',
    'X-Signet-Jwt',
    'X-Signet-Anything',
    'Remote-User',
    'Remote-Groups',
    'Remote-Email',
    'Remote-Name',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-User',
    'X-Forwarded-Client-Cert',
    'X-Real-IP',
    'Forwarded',
    'X-Original-URL',
    'X-Rewrite-URL',
    'SSL-Client-Cert',
    'X-SSL-Client-CN',
    'Proxy',
    'X-Request-Id',
  ])
    test(`${name} from outside never reaches the application, however it is written`, async () => {
      for (const [path, open] of [
        ['/static/a', (headers: Record<string, string>) => ask(signet.port, at('wiki'), '/static/a', { headers })],
        ['/page', (headers: Record<string, string>) => anna.open(at('wiki'), '/page', { headers })],
      ] as const)
        for (const form of headerNames(name)) {
          const { status, body } = await open({ [form]: 'root' })
          assert.equal(status, 200, `${form} ${path}: ${body}`)
          assert.ok(!toldAs(name).includes('root'), `${form} ${path}`)
          assert.ok(toldAs(name).length < 2, `${form} ${path}: told twice`)
        }
    })

  test('Connection can not name what the outpost adds, nor what bounds a body', async () => {
    const cookie = anna.cookies(at('wiki'), '/')
    const answer = await raw(
      signet.port,
      lines(
        'GET /page HTTP/1.1',
        `Host: ${at('wiki')}`,
        `Cookie: ${cookie}`,
        'Connection: close, x-signet-username, X-Signet-Groups, remote-user, host, x-forwarded-for, x-own',
        'X-Own: 1',
      ),
    )
    assert.deepEqual(statuses(answer), [200])
    assert.deepEqual(toldAs('x-signet-username'), ['anna'])
    assert.deepEqual(toldAs('x-signet-groups'), ['readers'])
    assert.deepEqual(toldAs('remote-user'), ['anna'])
    assert.deepEqual(toldAs('host'), [at('wiki')])
    assert.deepEqual(toldAs('x-own'), [])
  })

  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST'])
    test(`the body of ${method} is never read as another request`, async () => {
      const asked: string[] = []
      const heard = (request: { url?: string }) => asked.push(request.url ?? '')
      upstream.server.on('request', heard)
      const inner = lines('GET /static/smuggled HTTP/1.1', 'Host: x', 'X-Signet-Username: root', 'X-A: b')
      for (const named of ['close, content-length', 'keep-alive, content-length', 'close, transfer-encoding', 'close'])
        await raw(
          signet.port,
          `${lines(`${method} /static/outer HTTP/1.1`, `Host: ${at('wiki')}`, `Connection: ${named}`, `Content-Length: ${inner.length}`)}${inner}`,
          { enough: (text) => text.includes('\r\n\r\n') },
        )
      // One that follows on the same connection to the application, should there be one.
      await ask(signet.port, at('wiki'), '/static/after')
      upstream.server.off('request', heard)
      assert.deepEqual([...new Set(asked)], ['/static/outer', '/static/after'])
    })

  const wiki = () => `Host: ${at('wiki')}`
  const malformed: [title: string, request: () => string][] = [
    ['no Host', () => lines('GET /static/a HTTP/1.1', 'Connection: close')],
    ['an empty Host', () => lines('GET /static/a HTTP/1.1', 'Host:', 'Connection: close')],
    ['HTTP/1.0 without Host', () => lines('GET /static/a HTTP/1.0')],
    ['two Hosts', () => lines('GET /static/a HTTP/1.1', wiki(), `Host: ${at('plain')}`, 'Connection: close')],
    ['two Hosts that are the same', () => lines('GET /static/a HTTP/1.1', wiki(), wiki(), 'Connection: close')],
    ['a Host with userinfo', () => lines('GET /static/a HTTP/1.1', `Host: a@${at('wiki')}`, 'Connection: close')],
    ['a Host with a comma', () => lines('GET /static/a HTTP/1.1', `Host: ${at('wiki')}, ${at('plain')}`, 'Connection: close')],
    ['a Host with a percent', () => lines('GET /static/a HTTP/1.1', `Host: w%69ki.localhost:${signet.port}`, 'Connection: close')],
    ['an absolute target with userinfo', () => lines(`GET http://a@${at('wiki')}/static/a HTTP/1.1`, wiki(), 'Connection: close')],
    ['an absolute target of another scheme', () => lines(`GET ftp://${at('wiki')}/static/a HTTP/1.1`, wiki(), 'Connection: close')],
    ['an authority as target', () => lines(`GET ${at('wiki')} HTTP/1.1`, wiki(), 'Connection: close')],
    ['an asterisk as target', () => lines('OPTIONS * HTTP/1.1', wiki(), 'Connection: close')],
    ['a fragment', () => lines('GET /static/a#b HTTP/1.1', wiki(), 'Connection: close')],
    ['NUL in the target', () => lines('GET /static/\0 HTTP/1.1', wiki(), 'Connection: close')],
    [
      'Content-Length and Transfer-Encoding',
      () => `${lines('POST /static/a HTTP/1.1', wiki(), 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    ],
    ['two Content-Lengths', () => `${lines('POST /static/a HTTP/1.1', wiki(), 'Content-Length: 1', 'Content-Length: 2')}ab`],
    ['a negative Content-Length', () => lines('POST /static/a HTTP/1.1', wiki(), 'Content-Length: -1')],
    ['a signed Content-Length', () => `${lines('POST /static/a HTTP/1.1', wiki(), 'Content-Length: +1')}a`],
    ['an unknown Transfer-Encoding', () => lines('POST /static/a HTTP/1.1', wiki(), 'Transfer-Encoding: gzip')],
    ['chunked that is not the last', () => lines('POST /static/a HTTP/1.1', wiki(), 'Transfer-Encoding: chunked, gzip')],
    [
      'chunked twice over',
      () => `${lines('POST /static/a HTTP/1.1', wiki(), 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n`,
    ],
    ['a space before the colon', () => lines('POST /static/a HTTP/1.1', wiki(), 'Transfer-Encoding : chunked')],
    ['a folded header', () => lines('GET /static/a HTTP/1.1', wiki(), 'X-A: b', ' X-Signet-Username: root')],
    ['a bare line feed', () => `GET /static/a HTTP/1.1\n${wiki()}\n\n`],
    ['headers without end', () => `GET /static/a HTTP/1.1\r\n${wiki()}\r\nX-A: ${'a'.repeat(70_000)}\r\n\r\n`],
    ['TRACE, which would show what the application is told', () => lines('TRACE /static/a HTTP/1.1', wiki(), 'Connection: close')],
    ['CONNECT', () => lines(`CONNECT ${at('wiki')} HTTP/1.1`, wiki())],
  ]
  for (const [title, request] of malformed)
    test(`refuses ${title}`, async () => {
      let reached = false
      const heard = () => {
        reached = true
      }
      upstream.server.on('request', heard)
      const answer = await raw(signet.port, request(), { enough: (text) => text.includes('\r\n\r\n') })
      upstream.server.off('request', heard)
      for (const status of statuses(answer)) refused(status, answer.slice(0, 300))
      assert.equal(reached, false, 'it reached the application')
      assert.ok(signet.isAlive())
    })

  test('an absolute target counts instead of Host, for the application too', async () => {
    const answer = await raw(signet.port, lines(`GET http://${at('wiki')}/static/a HTTP/1.1`, `Host: ${at('plain')}`, 'Connection: close'))
    assert.deepEqual(statuses(answer), [200])
    assert.deepEqual(toldAs('host'), [at('wiki')])
  })

  test('HTTP/1.0 with a Host is served', async () => {
    assert.deepEqual(statuses(await raw(signet.port, lines('GET /static/a HTTP/1.0', wiki()))), [200])
  })

  const changes = (...more: string[]) => ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', ...more]
  test('a request to change the protocol behind another one on the same connection ends that connection alone', async () => {
    for (const host of [at('wiki'), `localhost:${signet.port}`, 'nobody.example'])
      for (const first of ['/static/a', '/outpost.signet/start', '/.well-known/openid-configuration'])
        await raw(
          signet.port,
          lines(`GET ${first} HTTP/1.1`, `Host: ${host}`).repeat(3) + lines('GET /static/ws HTTP/1.1', `Host: ${host}`, ...changes()),
        )
    assert.ok(signet.isAlive())
    assert.equal((await ask(signet.port, at('wiki'), '/static/a')).status, 200)
  })

  test('no protocol but that of web sockets is changed to: what follows would be seen by nobody', async () => {
    for (const protocol of ['h2c', 'TLS/1.0', 'websocket, h2c', 'x'])
      assert.deepEqual(
        statuses(
          await raw(
            signet.port,
            lines(
              'GET /static/a HTTP/1.1',
              wiki(),
              'Connection: close, Upgrade, HTTP2-Settings',
              `Upgrade: ${protocol}`,
              'HTTP2-Settings: AAMAAABk',
            ),
          ),
        ),
        [200],
        protocol,
      )
    assert.deepEqual(toldAs('upgrade'), [])
    const body = await raw(
      signet.port,
      `${lines('POST /static/a HTTP/1.1', wiki(), 'Connection: close, Upgrade', 'Upgrade: h2c', 'Content-Length: 3')}abc`,
    )
    assert.deepEqual(statuses(body), [200])
    assert.deepEqual(toldAs('content-length'), ['3'])
  })

  const paths: string[] = [
    '/static/../admin',
    '/static/..',
    '/static/./a',
    '/static/%2e%2e/admin',
    '/static/%2E%2e%2fadmin',
    '/static/.%2e/admin',
    '/static/..%2fadmin',
    '/static/..%5cadmin',
    '/static/..\\admin',
    '/static\\..\\admin',
    '/static/..;/admin',
    '/static/..;a=b/admin',
    '/static/%2e%2e;/admin',
    '/static/%252e%252e/admin',
    '/static/%252e%252e%252fadmin',
    '/static/%c0%ae%c0%ae/admin',
    '/static/%u002e%u002e/admin',
    '/static//a',
    '//static/a',
    '/static/a;b',
    '/static/a%00.css',
    '/static/a%0aX-A:b',
    '/static/%',
    '/static/%zz',
    '/static/a%23b',
    '/static/a%3fb',
    '/STATIC/a',
    '/static',
    '/health/',
    '/healthy',
    '/health%20',
    '/%68ealth',
    '/x/health',
    `/static/${'a'.repeat(9_000)}`,
  ]
  for (const path of paths)
    test(`a stranger is not let through at ${path.slice(0, 40)}`, async () => {
      const { status } = await ask(signet.port, at('wiki'), path, { headers: { accept: 'application/json' } })
      refused(status, path)
    })

  /** To an application of everyone on a host where /admin is another one's, and not everyone's. */
  const aroundAdmin = [
    '/admin',
    '/admin/',
    '/admin/x',
    '/open/../admin/x',
    '/open/..;/admin/x',
    '/open/%2e%2e/admin/x',
    '/open/..%2fadmin/x',
    '/open\\..\\admin/x',
    '//admin/x',
    '/.//admin/x',
    '/./admin/x',
    '/%61dmin/x',
    '/%2561dmin/x',
    '/admin%2fx',
    '/admin%5cx',
    '/admin\\x',
    '/admin;a=b/x',
    '/;/admin/x',
    '/ADMIN/x',
    '/Admin',
    '/admin%3b/x',
    '/a%2f../admin/x',
  ]
  for (const path of aroundAdmin)
    test(`${path} does not go around the rule of /admin`, async () => {
      const url = `http://${at('site')}${path}`
      for (const [server, headers] of [
        ['nginx', { 'x-original-url': url }],
        ['traefik', { 'x-forwarded-proto': 'http', 'x-forwarded-host': at('site'), 'x-forwarded-uri': path }],
        [`envoy${path}`, {}],
      ] as const)
        refused((await anna.open(at('site'), `/outpost.signet/auth/${server}`, { headers: { ...headers, ...script } })).status, server)
      const through = await ask(signet.port, at('gate'), path, { headers: script })
      refused(through.status, 'proxy')
    })

  const asked: [title: string, url: string][] = [
    ['nothing', ''],
    ['no scheme', '//HOST/'],
    ['another scheme', 'ftp://HOST/'],
    ['no path', 'http://HOST'],
    ['a query without a path', 'http://HOST?/'],
    ['another host', 'http://other.example/'],
    ['userinfo', 'http://HOST@other.example/'],
    ['userinfo before the host', 'http://a:b@HOST/'],
    ['a host in a host', 'http://other.example:HOST/'],
    ['two hosts', 'http://HOST,other.example/'],
    ['two addresses', 'http://HOST/, http://other.example/'],
    ['a space', 'http://HOST/a b'],
    ['a tab', 'http://HOST/\ta'],
    ['a fragment', 'http://HOST/#a'],
    ['percent in the host', 'http://%70lain.localhost/'],
    ['IPv6', 'http://[::1]/'],
    ['a broken port', 'http://plain.localhost:1x/'],
    ['a port too many', 'http://HOST:80/'],
    ['another port', 'http://plain.localhost:1/'],
    ['a backslash for the host', 'http://other.example\\@HOST/'],
    ['an application of mode proxy', 'http://WIKI/static/a'],
    ['letters that are not ASCII', 'http://HOST/\u00e4'],
    ['a path too long', `http://HOST/${'a'.repeat(17_000)}`],
  ]
  for (const [title, pattern] of asked)
    test(`nobody is let through when a proxy asks about an address with ${title}`, async () => {
      const url = pattern.replaceAll('HOST', at('plain')).replaceAll('WIKI', at('wiki'))
      refused((await anna.open(at('plain'), '/outpost.signet/auth/nginx', { headers: { 'x-original-url': url } })).status, url.slice(0, 80))
    })

  test('the host of an application is read as browsers write it', async () => {
    for (const host of [at('plain'), at('PLAIN'), `plain.localhost.:${signet.port}`])
      assert.equal(
        (await anna.open(at('plain'), '/outpost.signet/auth/nginx', { headers: { 'x-original-url': `http://${host}/a?b,c` } })).status,
        200,
        host,
      )
  })

  const forwarded = (more: Record<string, string | string[]>) => ({
    'x-forwarded-proto': 'http',
    'x-forwarded-host': at('plain'),
    'x-forwarded-uri': '/',
    ...more,
  })
  const forwardedGames: [title: string, headers: () => Record<string, string | string[]>][] = [
    ['no host', () => forwarded({ 'x-forwarded-host': '' })],
    ['no address', () => forwarded({ 'x-forwarded-uri': '' })],
    ['no scheme', () => forwarded({ 'x-forwarded-proto': '' })],
    ['two hosts', () => forwarded({ 'x-forwarded-host': [at('plain'), 'other.example'] })],
    ['two hosts in one', () => forwarded({ 'x-forwarded-host': `other.example, ${at('plain')}` })],
    ['two addresses', () => forwarded({ 'x-forwarded-uri': ['/', '/admin'] })],
    ['an absolute address', () => forwarded({ 'x-forwarded-uri': `http://${at('plain')}/` })],
    ['an address without a slash', () => forwarded({ 'x-forwarded-uri': 'a' })],
    ['a host with userinfo', () => forwarded({ 'x-forwarded-host': `a@${at('plain')}` })],
    ['the host of an application of mode proxy', () => forwarded({ 'x-forwarded-host': at('wiki') })],
    ['the host of an application that is not theirs', () => forwarded({ 'x-forwarded-host': at('two.apps') })],
  ]
  for (const [title, headers] of forwardedGames)
    test(`nobody is let through when a proxy hands on ${title}`, async () => {
      for (const server of ['traefik', 'caddy'])
        refused(
          (
            await anna.open(at('plain'), `/outpost.signet/auth/${server}`, {
              headers: { ...headers(), ...script },
            })
          ).status,
          server,
        )
    })

  test('an endpoint that is none answers 404, and an application of mode forward is not reached through the outpost', async () => {
    for (const path of ['auth', 'auth/', 'auth/apache', 'auth/__proto__', 'auth/nginx/x', 'constructor', 'start/x', '%70ing'])
      assert.equal((await anna.open(at('plain'), `/outpost.signet/${path}`)).status, 404, path)
    for (const host of ['plain', 'site', 'one.apps']) refused((await anna.open(at(host), '/')).status, host)
    assert.equal((await ask(signet.port, at('plain'), '/outpost.signet/start', { method: 'POST', body: 'a' })).status, 405)
  })

  const cookiesOf = (host: string) => anna.cookies(at(host), '/')
  const sessionIn = (cookies: string) => /signet_outpost_[0-9a-f]{12}=[^;]+/.exec(cookies)?.[0] ?? ''

  test('a sign-in is good for its own application alone', async () => {
    const [name = '', value = ''] = sessionIn(cookiesOf('plain')).split('=')
    const [own = ''] = sessionIn(cookiesOf('wiki')).split('=')
    assert.notEqual(name, own)
    for (const cookie of [`${name}=${value}`, `${own}=${value}`, `${own}=${value}; ${name}=${value}`])
      assert.equal((await ask(signet.port, at('wiki'), '/page', { headers: { ...page, cookie } })).status, 302, cookie.slice(0, 40))
  })

  test('a sign-in that was changed in any way is none', async () => {
    const [name = '', value = ''] = sessionIn(cookiesOf('wiki')).split('=')
    const flipped = (index: number) => `${value.slice(0, index)}${value[index] === 'A' ? 'B' : 'A'}${value.slice(index + 1)}`
    const values = [
      '',
      'a',
      value.slice(1),
      value.slice(0, -1),
      value.slice(0, -4),
      `${value}A`,
      `${value}AAAA`,
      `${value}=`,
      `${value}==`,
      `${value}!`,
      ` ${value} x`,
      `${value.slice(0, 40)}.${value.slice(40)}`,
      value.toLowerCase(),
      [...value].toReversed().join(''),
      value + value,
      flipped(0),
      flipped(20),
      flipped(value.length >> 1),
      flipped(value.length - 2),
      `"${value}"`,
      encodeURIComponent(`${value}%`),
    ]
    for (const changed of values)
      assert.equal(
        (await ask(signet.port, at('wiki'), '/page', { headers: { ...page, cookie: `${name}=${changed}` } })).status,
        302,
        changed.slice(0, 60),
      )
    assert.equal((await ask(signet.port, at('wiki'), '/page', { headers: { ...page, cookie: `${name}=${value}` } })).status, 200)
    // A wrong one in front of the right one is another path's, and does not hide it.
    assert.equal((await ask(signet.port, at('wiki'), '/page', { headers: { ...page, cookie: `${name}=x; ${name}=${value}` } })).status, 200)
  })

  /** Through the AuthServer, where the visitor may be signed in already, to where the callback sends them. */
  const goThrough = async (visitor: Visitor, guest: Guest, host: string, start: string): Promise<{ callback: URL; location: string }> => {
    const begun = await guest.open(host, start)
    assert.equal(begun.status, 302, begun.body)
    const end = await walk(visitor, await visitor.open(begun.headers.location ?? ''), { username: 'carl', password })
    assert.ok(end.left, `${end.url} ${end.text}`)
    const back = await guest.open(host, `${end.left.pathname}${end.left.search}`)
    assert.equal(back.status, 302, back.body)
    return { callback: end.left, location: back.headers.location ?? '' }
  }

  test('nobody is sent anywhere but to the application after they have signed in', async () => {
    const visitor = newVisitor(signet.issuer)
    const guest = openGuest(signet.port)
    const home = `http://${at('wiki')}/`
    const bad = [
      '//evil.example',
      '///evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      '/\t/evil.example',
      '/\n/evil.example',
      'https:evil.example',
      'http:/evil.example',
      'https://evil.example',
      `http://${at('wiki')}@evil.example/`,
      `http://a:b@${at('wiki')}/`,
      `http://${at('wiki')}.evil.example/`,
      `http://${at('wiki')}\\@evil.example/`,
      `https://${at('wiki')}/`,
      `http://${at('plain')}/`,
      `http://localhost:${signet.port}/account`,
      'javascript:alert(1)',
      'data:text/html,a',
      'http://evil\u3002example/',
      `http://w\u0456ki.localhost:${signet.port}/`,
      '/outpost.signet/sign_out',
      '/a/../outpost.signet/start',
      '/a/%2e%2e/outpost.signet/start?rd=/',
      `http://${at('wiki')}/outpost.signet/start`,
      `/${'a'.repeat(5_000)}`,
      '\u0000/',
    ]
    for (const rd of bad)
      assert.equal(
        (await goThrough(visitor, guest, at('wiki'), `/outpost.signet/start?rd=${encodeURIComponent(rd)}`)).location,
        home,
        JSON.stringify(rd.slice(0, 80)),
      )
    for (const rd of ['/deep/link?a=b|c&d=%2F', `http://${at('wiki')}/deep/link?x=y#z`])
      assert.equal(
        (await goThrough(visitor, guest, at('wiki'), `/outpost.signet/start?rd=${encodeURIComponent(rd)}`)).location,
        new URL(rd, home).href,
      )
    // Pasted as a configuration of nginx pastes it.
    assert.equal((await goThrough(visitor, guest, at('wiki'), '/outpost.signet/start?rd=http://evil.example/?a=b&c=d')).location, home)
    // Tries that were never finished do not pile up.
    for (let tries = 0; tries < 12; tries++) await guest.open(at('wiki'), '/outpost.signet/start')
    const kept = guest.cookies(at('wiki'), '/outpost.signet/callback').match(/signet_outpost_try_[0-9a-f]{12}=/g) ?? []
    assert.ok(kept.length <= 6, `${kept.length} tries`)
    assert.ok((await goThrough(visitor, guest, at('wiki'), '/outpost.signet/start')).location === home)
  })

  test('one sign-in for a domain does not open an application of it that has a rule of its own', async () => {
    const about = (host: string) => ({ 'x-original-url': `http://${at(host)}/` })
    assert.equal((await anna.open(at('one.apps'), '/outpost.signet/auth/nginx', { headers: about('one.apps') })).status, 200)
    assert.equal((await anna.open(at('two.apps'), '/outpost.signet/auth/nginx', { headers: about('two.apps') })).status, 403)
  })

  test('an answer of the AuthServer is good once, for the browser and the application that asked', async () => {
    const visitor = newVisitor(signet.issuer)
    const guest = openGuest(signet.port)
    const path = (url: URL) => `${url.pathname}${url.search}`
    const begin = async () => {
      const begun = await guest.open(at('wiki'), '/outpost.signet/start')
      const tried = guest.cookies(at('wiki'), '/outpost.signet/callback')
      const end = await walk(visitor, await visitor.open(begun.headers.location ?? ''), { username: 'carl', password })
      assert.ok(end.left)
      return { callback: end.left, tried }
    }
    const { callback, tried } = await begin()
    const refusedAt = async (what: string, url: string, cookie: string, host = at('wiki')) => {
      const answer = await ask(signet.port, host, url, { headers: { ...page, ...(cookie ? { cookie } : {}) } })
      refused(answer.status, `${what}: ${answer.body.slice(0, 200)}`)
      assert.ok(!String(answer.headers['set-cookie'] ?? '').match(/signet_outpost_[0-9a-f]{12}=[^;]/), `${what}: signs in`)
    }
    await refusedAt('no try', path(callback), '')
    const withoutBinding = tried.split('; ').filter((pair) => !/^signet_outpost_try_[0-9a-f]{12}_of=/.test(pair))
    assert.equal(withoutBinding.length, tried.split('; ').length - 1)
    await refusedAt('a try that another host planted', path(callback), withoutBinding.join('; '))
    await refusedAt('no state', '/outpost.signet/callback?code=a', tried)
    await refusedAt('nothing', '/outpost.signet/callback', tried)
    const changed = new URL(callback)
    changed.searchParams.set('state', `${callback.searchParams.get('state')}x`)
    await refusedAt('another state', path(changed), tried)
    await refusedAt('another host', path(callback), tried, at('plain'))
    await refusedAt('a host that is none', path(callback), tried, at('nobody'))
    const other = await begin()
    const swapped = new URL(callback)
    swapped.searchParams.set('code', other.callback.searchParams.get('code') ?? '')
    await refusedAt('code of another try', path(swapped), tried)
    // A code that was tried with the wrong verifier is spent; so is one that was used.
    const third = await begin()
    const done = await ask(signet.port, at('wiki'), path(third.callback), { headers: { ...page, cookie: third.tried } })
    assert.equal(done.status, 302)
    await refusedAt('a second time', path(third.callback), third.tried)
    const wrongIssuer = await begin()
    const foreign = new URL(wrongIssuer.callback)
    foreign.searchParams.set('iss', 'https://evil.example')
    await refusedAt('another issuer', path(foreign), wrongIssuer.tried)
    const twice = await begin()
    await refusedAt('state twice', `${path(twice.callback)}&state=x`, twice.tried)
    const failed = await begin()
    const state = failed.callback.searchParams.get('state')
    await refusedAt('an error', `/outpost.signet/callback?error=access_denied&error_description=%3Cscript%3E&state=${state}`, failed.tried)
  })

  test('the code of another client is refused', async () => {
    const visitor = newVisitor(signet.issuer)
    const guest = openGuest(signet.port)
    const codeFor = async (host: string) => {
      const begun = await guest.open(at(host), '/outpost.signet/start')
      const end = await walk(visitor, await visitor.open(begun.headers.location ?? ''), { username: 'carl', password })
      assert.ok(end.left)
      return end.left
    }
    const wikiCallback = await codeFor('wiki')
    const plainCallback = await codeFor('plain')
    wikiCallback.searchParams.set('code', plainCallback.searchParams.get('code') ?? '')
    refused((await guest.open(at('wiki'), `${wikiCallback.pathname}${wikiCallback.search}`)).status, 'code')
  })

  test('patterns of public paths that could take any time, or mean something else, close the application and take none', async () => {
    for (const host of ['slow', 'slower', 'escape']) {
      const began = performance.now()
      const { status } = await ask(signet.port, at(host), `/${'a'.repeat(8_000)}!`)
      assert.equal(status, 403, host)
      assert.ok(performance.now() - began < 2_000, host)
    }
  })

  test('a person of very many groups is signed in, or told that it is too many', async () => {
    const guest = openGuest(signet.port)
    const groupNames = Array.from({ length: 900 }, (_, index) => `department-of-${index * 7919}-and-${(index * 104_729).toString(36)}`)
    const spec = (names: string[]) =>
      names
        .map((name) => `{ apiVersion: signet.dev/v1alpha1, kind: Group, metadata: { name: ${name} }, spec: { members: [carl] } }`)
        .join('\n---\n')
    const sign = () => signIn(signet, guest, { host: at('many'), start: '/outpost.signet/start', answers: { username: 'carl', password } })
    await signet.apply(spec(groupNames.slice(0, 300)))
    await sign()
    const session = guest.cookies(at('many'), '/')
    assert.match(session, /signet_outpost_[0-9a-f]{12}\.1=/, 'cut into several')
    const shown = await guest.open(at('many'), '/page')
    assert.equal(shown.status, 200, shown.body)
    assert.equal(toldAs('x-signet-groups')[0]?.split('|').length, 301)
    // Parts in another order, without one of them, or with one too many.
    const parts = session.split('; ').filter((pair) => /^signet_outpost_[0-9a-f]{12}/.test(pair))
    const values = parts.map((pair) => pair.slice(pair.indexOf('=') + 1))
    const namesOf = parts.map((pair) => pair.slice(0, pair.indexOf('=')))
    const pasted = (order: number[]) => order.map((from, index) => `${namesOf[index]}=${values[from]}`).join('; ')
    for (const cookie of [pasted([1, 0]), pasted([0]), pasted([1]), pasted([0, 0]), `${pasted(values.map((_, index) => index))}x`])
      assert.equal((await ask(signet.port, at('many'), '/page', { headers: { ...page, cookie } })).status, 302)
    await signet.apply(spec(groupNames))
    const end = await sign().then(
      () => guest.open(at('many'), '/page').then(({ status }) => status),
      (error: Error) => Number(/callback answered (\d+)/.exec(error.message)?.[1]),
    )
    assert.ok(end === 200 || (end >= 400 && end < 500), String(end))
  })

  test('a sign-in ends with its session, and with the account', async () => {
    const visitor = newVisitor(signet.issuer)
    const guest = openGuest(signet.port)
    await goThrough(visitor, guest, at('plain'), '/outpost.signet/start')
    const about = () => guest.open(at('plain'), '/outpost.signet/auth/nginx', { headers: { 'x-original-url': `http://${at('plain')}/` } })
    assert.equal((await about()).status, 200)
    await signet.api('DELETE', `/api/v1/users/${people.carl}/sessions`)
    await until(async () => (await about()).status === 401, { withinMs: 2_000 })
    await goThrough(newVisitor(signet.issuer), guest, at('plain'), '/outpost.signet/start')
    assert.equal((await about()).status, 200)
    const closed = await signet.api('PATCH', `/api/v1/users/${people.carl}`, { active: false })
    assert.equal(closed.status, 200, closed.text)
    await until(async () => (await about()).status === 401, { withinMs: 2_000 })
  })
})
