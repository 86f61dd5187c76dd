import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuardedApplication } from './core.ts'
import { identityHeaders } from './identity_headers.ts'
import { type Session, sessionMs } from './session.ts'
import { claimsOf, entitlementsOf, hasAskedFor, statedForProxies, toldClaims, withEarlier } from './told_claims.ts'

const now = 1_000_000_000
type Stating = Pick<GuardedApplication, 'client' | 'headers' | 'entitlements'>
const stating = (clientId: string, ...claims: [header: string, claim: string][]) =>
  ({
    client: { name: clientId, clientId, labels: {} },
    headers: { remoteUser: false, jwt: false, claims: claims.map(([header, claim]) => ({ header, claim })) },
  }) satisfies Pick<GuardedApplication, 'client' | 'headers'>
const session = (over: Partial<Session> = {}): Session => ({
  sid: 's',
  issuer: 'https://id.example',
  person: { id: 'u', username: 'anna', email: '', name: '', active: true, groups: [], attributes: {} },
  acr: '1fa',
  amr: [],
  vouchedFor: '',
  signedInAt: now,
  expiresAt: now + sessionMs,
  ...over,
})

test('headers hold text, numbers, truth and lists of them, and nothing else', () => {
  const names = ['text', 'number', 'truth', 'list', 'map', 'none', 'missing', 'toString', '__proto__', 'lines']
  const wiki = stating('wiki', ...names.map((name): [string, string] => [`X-${name.replaceAll('_', '')}`, name]))
  const { claims, tooLarge } = claimsOf(
    {
      text: 'K\u00f6ln',
      number: 7,
      truth: false,
      list: ['a', 'b|c', ' d', 1, true, { x: 1 }, ['e'], null, '', 'x\r\ny'],
      map: { a: 1 },
      none: null,
      lines: 'a\r\nX-Signet-Uid: root',
      other: 'not asked for',
    },
    wiki,
    now,
  )
  assert.deepEqual(tooLarge, [])
  const { person } = session()
  const headers = identityHeaders(wiki, { session: session({ claims }), person })
  assert.equal(Buffer.from(headers['X-text'] ?? '', 'latin1').toString(), 'K\u00f6ln')
  assert.deepEqual(
    ['X-number', 'X-truth', 'X-list', 'X-map', 'X-none', 'X-missing', 'X-toString', 'X-proto', 'X-lines'].map((name) => headers[name]),
    ['7', 'false', 'a|1|true', '', '', '', '', '', 'a  X-Signet-Uid: root'],
  )
  assert.ok(!JSON.stringify(claims).includes('not asked for'))
})

test('nobody, a program, and a sign-in of before are told of by empty headers', () => {
  const wiki = stating('wiki', ['X-A', 'a'])
  const { person } = session()
  for (const signedIn of [undefined, { session: session(), person }, { session: session({ claims: {} }), person }])
    assert.equal(identityHeaders(wiki, signedIn)['X-A'], '')
  assert.equal(hasAskedFor(session(), wiki, now), false)
  assert.equal(hasAskedFor(session(), stating('wiki'), now), true)
  // As a server of before states it.
  const { claims: _, ...headers } = wiki.headers
  assert.equal(hasAskedFor(session(), { ...wiki, headers }, now), true)
  assert.equal(Object.hasOwn(identityHeaders({ ...wiki, headers }, { session: session(), person }), 'X-A'), false)
})

test('an application is told what its own client was given, of the claims that it wants now', () => {
  const wiki = stating('wiki', ['X-A', 'a'])
  const signedIn = session(claimsOf({ a: 1, b: 2 }, wiki, now))
  assert.deepEqual(toldClaims(signedIn, wiki), { a: 1 })
  assert.deepEqual(toldClaims(signedIn, stating('wiki', ['X-Other', 'a'])), { a: 1 })
  // As long as a sign-in holds.
  assert.deepEqual([hasAskedFor(signedIn, wiki, now + sessionMs - 1), hasAskedFor(signedIn, wiki, now + sessionMs)], [true, false])
  for (const other of [stating('blog', ['X-A', 'a']), stating('wiki', ['X-A', 'b']), stating('wiki', ['X-A', 'a'], ['X-B', 'b'])]) {
    assert.equal(hasAskedFor(signedIn, other, now), false)
    assert.deepEqual(toldClaims(signedIn, other), {})
  }
})

test('entitlements are those of its own client, and nothing but text', () => {
  const [wiki, blog] = ['wiki', 'blog'].map((clientId) => ({ ...stating(clientId), entitlements: true })) as [Stating, Stating]
  const signedIn = session(claimsOf({ entitlements: ['read', 7, { x: 1 }, 'write'] }, wiki, now))
  assert.deepEqual(entitlementsOf(signedIn, wiki), ['read', 'write'])
  assert.deepEqual([hasAskedFor(signedIn, blog, now), entitlementsOf(signedIn, blog)], [false, []])
  // Of which nobody makes any, as a server of before says too.
  assert.deepEqual([hasAskedFor(signedIn, stating('desk'), now), entitlementsOf(signedIn, stating('desk'))], [true, []])
  assert.deepEqual(entitlementsOf(session(claimsOf({ entitlements: 'read' }, wiki, now)), wiki), [])
})

test('a proxy is answered with the names that any of its applications states, however they are written once, and so many', () => {
  const [one, two] = [stating('one', ['X-A', 'a'], ['X-B', 'b']), stating('two', ['x_a', 'a'], ['X-C', 'c'])]
  assert.deepEqual(
    statedForProxies([
      { ...one, mode: 'forward_single' },
      { ...two, mode: 'forward_domain' },
      { ...stating('three', ['X-D', 'd']), mode: 'proxy' },
    ]),
    ['X-A', 'X-B', 'X-C'],
  )
  const many = Array.from({ length: 150 }, (_, index) => ({ ...stating('one', [`X-${index}`, 'a']), mode: 'forward_single' as const }))
  assert.equal(statedForProxies(many).length, 100)
})

test('what is too large is left out by itself, and said', () => {
  const wiki = stating('wiki', ['X-A', 'a'], ['X-B', 'b'], ['X-C', 'c'], ['X-D', 'd'])
  const { claims, tooLarge } = claimsOf({ a: 'x'.repeat(5_000), b: ['y'], c: 'z'.repeat(4_094), d: 'z'.repeat(4_094) }, wiki, now)
  assert.deepEqual(tooLarge, ['a', 'd'])
  assert.deepEqual(Object.keys(toldClaims(session({ claims }), wiki)), ['b', 'c'])
})

test('what other applications were told stays beside it, of the same person and no older than a sign-in', () => {
  const [wiki, blog] = [stating('wiki', ['X-A', 'a']), stating('blog', ['X-A', 'a'])]
  const of = (application: typeof wiki, a: string, at = now) => session({ signedInAt: at, claims: claimsOf({ a }, application, at).claims })
  const both = withEarlier(of(blog, 'of blog'), of(wiki, 'of wiki', now - 1_000))
  assert.deepEqual([toldClaims(both, wiki), toldClaims(both, blog)], [{ a: 'of wiki' }, { a: 'of blog' }])
  const again = withEarlier(of(wiki, 'new'), both)
  assert.deepEqual([toldClaims(again, wiki), toldClaims(again, blog)], [{ a: 'new' }, { a: 'of blog' }])
  const earlier = of(wiki, 'of wiki', now - 1_000)
  for (const none of [
    undefined,
    of(wiki, 'old', now - sessionMs),
    { ...earlier, person: { ...earlier.person, id: 'v' } },
    { ...earlier, issuer: 'https://other.example' },
  ])
    assert.equal(hasAskedFor(withEarlier(of(blog, 'of blog'), none), wiki, now), false)
  let many = of(wiki, 'first')
  for (let index = 1; index <= 100; index++) many = withEarlier(of(stating(`c${index}`, ['X-A', 'a']), 'x', now + index), many)
  assert.equal(Object.keys(many.claims ?? {}).length, 50)
  assert.ok(hasAskedFor(many, stating('c100', ['X-A', 'a']), now) && !hasAskedFor(many, wiki, now))
})
