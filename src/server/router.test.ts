import assert from 'node:assert/strict'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { networkMatcher } from '#/lib/config.ts'
import { route, settleHeaders } from './router.ts'

const issuers = [
  { namespace: 'default', name: 'default', issuerUrl: 'https://id.example.com', pathPrefix: '' },
  { namespace: 'default', name: 'staff', issuerUrl: 'https://id.example.com/staff', pathPrefix: '/staff' },
]
const authServerFor = (host: string, path: string) =>
  host === 'id.example.com' ? issuers.findLast(({ pathPrefix }) => path === pathPrefix || path.startsWith(`${pathPrefix}/`)) : undefined

const ask = (url: string, headers: IncomingHttpHeaders, peer = '203.0.113.9', more: string[] = []) =>
  ({
    url,
    headers,
    rawHeaders: [...Object.entries(headers).flatMap(([name, value]) => [name, String(value)]), ...more],
    socket: { remoteAddress: peer },
  }) as unknown as IncomingMessage
const guardedPrefix = (asked: string, path: string) => (asked === 'wiki.example.com' && path.startsWith('/w/') ? 2 : undefined)
const options = { authServerFor, guardedPrefix, isTrustedProxy: networkMatcher(['10.0.0.0/8']) }
const host = { host: 'id.example.com' }

const routed: [title: string, request: IncomingMessage, expected: Record<string, unknown>][] = [
  ['a path of the OpenID provider goes to oidc', ask('/oauth2/token?a=b', host), { part: 'oidc', url: '/oauth2/token?a=b' }],
  ['discovery goes to oidc', ask('/.well-known/openid-configuration', host), { part: 'oidc' }],
  [
    'the metadata of an issuer with a path stands below the root of its host too (RFC 8414 section 3.1)',
    ask('/.well-known/oauth-authorization-server/staff?a=b', host),
    { part: 'oidc', url: '/.well-known/oauth-authorization-server?a=b' },
  ],
  ['of no issuer there is metadata', ask('/.well-known/oauth-authorization-server/nobody', host), { part: 'core' }],
  ['nor below one', ask('/.well-known/oauth-authorization-server/staff/x', host), { part: 'core' }],
  ['anything else goes to core', ask('/account', host), { part: 'core', url: '/account' }],
  ['the prefix of an issuer is cut off', ask('/staff/oauth2/token', host), { part: 'oidc', url: '/oauth2/token' }],
  ['the prefix alone is the root', ask('/staff?x', host), { part: 'core', url: '/?x' }],
  ['a longer name is not the prefix', ask('/stafford/oauth2/token', host), { part: 'core', url: '/stafford/oauth2/token' }],
  ['host names are compared without case', ask('/', { host: 'ID.example.COM' }), { part: 'core' }],
  [
    'absolute form counts instead of Host',
    ask('http://id.example.com/account', { host: 'evil.example' }),
    { part: 'core', url: '/account' },
  ],
]

for (const [title, request, expected] of routed)
  test(`router: ${title}`, () => {
    const answer = route(request, options)
    assert.equal(answer.kind, 'part')
    assert.deepEqual({ ...answer, ...expected }, answer)
  })

const refused: [title: string, request: IncomingMessage, status: number][] = [
  ['an unknown host', ask('/', { host: 'other.example' }), 421],
  ['a missing host', ask('/', {}), 400],
  ['two hosts', ask('/', host, '203.0.113.9', ['HOST', 'other.example']), 400],
  ['two hosts of a trusted proxy', ask('/', host, '10.0.0.1', ['Host', 'id.example.com']), 400],
  ['two hosts in one', ask('/', { host: 'id.example.com, other.example' }), 400],
  ['a host with a path', ask('/', { host: 'id.example.com/x' }), 400],
  ['a host with a user', ask('/', { host: 'a@id.example.com' }), 400],
  ['an asterisk target', ask('*', host), 400],
  ['a fragment, where one reader of a path sees another than the next', ask('/oauth2/register#x', host), 400],
  ['white space in the target', ask('/oauth2/register\u00a0', host), 400],
  ['an authority target', ask('id.example.com:443', host), 400],
  ['absolute form with a user', ask('http://a@id.example.com/', host), 400],
  ['X-Forwarded-Host of a stranger', ask('/', { host: 'other.example', 'x-forwarded-host': 'id.example.com' }), 421],
]

for (const [title, request, status] of refused)
  test(`router refuses ${title}`, () => {
    const answer = route(request, options)
    assert.equal(answer.kind, 'refused')
    assert.equal(answer.kind === 'refused' && answer.status, status)
  })

const networks: [title: string, headers: IncomingHttpHeaders, peer: string, expected: string][] = [
  ['a stranger is its own network, whatever it claims', { 'x-forwarded-for': '198.51.100.7' }, '203.0.113.9', '203.0.113.9'],
  ['behind a proxy it is the last untrusted address', { 'x-forwarded-for': '1.1.1.1, 198.51.100.7, 10.2.2.2' }, '10.0.0.1', '198.51.100.7'],
  ['a proxy that says nothing is the network', {}, '10.0.0.1', '10.0.0.1'],
  ['nonsense ends the walk', { 'x-forwarded-for': '<script>, 10.2.2.2' }, '10.0.0.1', '10.2.2.2'],
  ['IPv4 in IPv6 is IPv4', { 'x-forwarded-for': '198.51.100.7' }, '::ffff:10.0.0.1', '198.51.100.7'],
]

for (const [title, headers, peer, expected] of networks)
  test(`network: ${title}`, () => {
    const answer = route(ask('/', { ...host, ...headers }, peer), options)
    assert.equal(answer.kind === 'part' && answer.caller.network, expected)
  })

test('forwarding headers from outside are dropped, and say what was found', () => {
  const request = ask('/staff/', {
    ...host,
    forwarded: 'host=evil',
    'x-forwarded-proto': 'http',
    'x-forwarded-port': '1',
    'x-forwarded-user': 'admin',
    x_forwarded_proto: 'http',
    'x-real-ip': '10.0.0.1',
    'x-original-url': '/admin',
    'x-rewrite-url': '/admin',
  })
  const answer = route(request, options)
  assert.ok(answer.kind === 'part')
  settleHeaders(request, answer.caller)
  assert.deepEqual(request.headers, {
    ...host,
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'id.example.com',
    'x-forwarded-for': '203.0.113.9',
  })
})

test('headers that claim a certificate or an identity are dropped, in every form', () => {
  const claims = [
    'x-signet-username',
    'x_signet_groups',
    'remote-user',
    'remote_groups',
    'client-cert',
    'client-cert-chain',
    'x-client-cert',
    'x-ssl-client-cert',
    'ssl-client-verify',
    'ssl_client_s_dn',
    'x-tls-client-san',
  ]
  const kept = { ...host, accept: 'text/html', 'x-requested-with': 'XMLHttpRequest', 'client-id': 'x', remote: 'x' }
  const request = ask('/', { ...kept, ...Object.fromEntries(claims.map((name) => [name, 'x'])) })
  const answer = route(request, options)
  assert.ok(answer.kind === 'part')
  settleHeaders(request, answer.caller)
  const ours = ['x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-for']
  assert.deepEqual(Object.keys(request.headers).sort(), [...Object.keys(kept), ...ours].sort())
})

test('a request id is taken from a trusted proxy only', () => {
  const headers = { ...host, 'x-request-id': 'trace-0123456789' }
  const fromProxy = route(ask('/', headers, '10.0.0.1'), options)
  const fromStranger = route(ask('/', headers), options)
  assert.equal(fromProxy.kind === 'part' && fromProxy.caller.requestId, 'trace-0123456789')
  assert.notEqual(fromStranger.kind === 'part' && fromStranger.caller.requestId, 'trace-0123456789')
})
