import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuardedApplication } from './core.ts'
import { openGuard } from './guard.ts'
import { safeDestination, startUrl } from './sign_in.ts'

const at = (url: string, over: Partial<GuardedApplication> = {}): GuardedApplication => {
  const { origin, host, pathname } = new URL(url)
  const headers = { remoteUser: false, jwt: false }
  return {
    key: url,
    origin,
    host,
    path: pathname.replace(/\/$/, ''),
    mode: 'proxy',
    cookieKey: url,
    headers,
    ...over,
  } as GuardedApplication
}
const domain = { mode: 'forward_domain', cookieDomain: 'example.com', cookieKey: 'shared' } as const
const wiki = at('https://wiki.example')
const below = at('https://site.example/app')
const one = at('https://one.example.com', domain)
const two = at('https://two.example.com:8443', domain)
const elsewhere = at('https://three.other.com', { ...domain, cookieDomain: 'other.com', cookieKey: 'other' })
const guard = openGuard([wiki, below, at('https://site.example/admin'), one, two, elsewhere])
const destination = (rd: string | undefined, application = wiki) => safeDestination(rd, application, guard)

const good: [rd: string, application: GuardedApplication, expected: string][] = [
  ['/', wiki, 'https://wiki.example/'],
  ['/a/b?c=d&e#f', wiki, 'https://wiki.example/a/b?c=d&e#f'],
  ['/?next=https://evil.example/', wiki, 'https://wiki.example/?next=https://evil.example/'],
  ['/a|b{c}^d', wiki, new URL('https://wiki.example/a|b{c}^d').href],
  ['/%2f%2fevil.example', wiki, 'https://wiki.example/%2f%2fevil.example'],
  ['https://wiki.example/x', wiki, 'https://wiki.example/x'],
  ['HTTPS://WIKI.example:443/x', wiki, 'https://wiki.example/x'],
  ['https://wiki.example?x', wiki, 'https://wiki.example/?x'],
  ['https://site.example/app/x', below, 'https://site.example/app/x'],
  ['https://two.example.com:8443/x', one, 'https://two.example.com:8443/x'],
]
for (const [rd, application, expected] of good)
  test(`rd ${rd} at ${application.key} is gone to`, () => assert.equal(destination(rd, application), expected))

const bad: string[] = [
  '',
  'evil.example',
  '//evil.example',
  '///evil.example',
  '////evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/\r/evil.example',
  ' //evil.example',
  '\u0000//evil.example',
  '/\u2028/evil.example',
  '/\uff0fevil.example',
  'https:evil.example',
  'https:/evil.example',
  'https:///evil.example',
  'https://evil.example',
  'https://evil.example\\.wiki.example',
  'https://evil.example#.wiki.example',
  'https://evil.example?.wiki.example',
  'https://wiki.example.evil.example/',
  'https://wiki.example@evil.example/',
  'https://wiki.example:443@evil.example/',
  'https://a@wiki.example/',
  'https://a:b@wiki.example/',
  'https://wiki.example:444/',
  'https://wiki.example:99999/',
  'http://wiki.example/',
  'https://w%69ki.example.evil/',
  'https://w\u0456ki.example/',
  'https://wiki\u3002example/',
  'https://[::1]/',
  'https://one.example.com/',
  'https://site.example/app',
  'javascript:alert(1)',
  'JAVASCRIPT:alert(1)//https://wiki.example/',
  'data:text/html,a',
  'blob:https://wiki.example/x',
  'ftp://wiki.example/',
  'ws://wiki.example/',
  '/outpost.signet/start',
  '/outpost.signet',
  '/outpost.signet/start?rd=/outpost.signet/start',
  '/x/../outpost.signet/sign_out',
  '/x/%2e%2e/outpost.signet/sign_out',
  '/./outpost.signet/callback',
  'https://wiki.example/outpost.signet/sign_out',
  `/${'a'.repeat(5_000)}`,
]
for (const rd of bad) test(`rd ${JSON.stringify(rd.slice(0, 60))} is not`, () => assert.equal(destination(rd), 'https://wiki.example/'))

test('nor is the application of another path, or of a domain that is not shared', () => {
  for (const rd of [
    'https://site.example/admin',
    'https://site.example/',
    'https://site.example/app/../admin',
    'https://site.example/app%2f..%2fadmin',
    '/%61dmin',
  ])
    assert.equal(destination(rd, below), 'https://site.example/app/', rd)
  assert.equal(destination('https://three.other.com/', one), 'https://one.example.com/')
  assert.equal(destination('https://wiki.example/', one), 'https://one.example.com/')
  assert.equal(destination('https://nobody.example.com/', one), 'https://one.example.com/')
  assert.equal(destination(undefined, one), 'https://one.example.com/')
})

test('an address too long to be gone back to is left out', () => {
  assert.equal(startUrl(wiki, '/a?b=c'), 'https://wiki.example/outpost.signet/start?rd=https%3A%2F%2Fwiki.example%2Fa%3Fb%3Dc')
  assert.equal(startUrl(wiki, `/${'a'.repeat(5_000)}`), 'https://wiki.example/outpost.signet/start')
})
