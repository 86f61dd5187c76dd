import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { GuardedApplication, Person } from './core.ts'
import { clearSession, cookieName, cookiesNamed, openSessions, type Session, seal, unseal, writeSession } from './session.ts'

const key = Buffer.alloc(32, 1).toString('base64url')
const scope = {
  cookieKey: key,
  cookieDomain: undefined,
  origin: 'https://wiki.example',
  path: '',
  mode: 'proxy',
  issuer: { url: 'https://id.example', displayName: 'Id' },
} as unknown as GuardedApplication
const now = 1_000_000
const person: Person = { id: 'u1', username: 'anna', email: '', name: '', active: true, groups: [], attributes: {} }
const session: Session = {
  sid: 's1',
  issuer: 'https://id.example',
  person,
  acr: '1fa',
  amr: [],
  vouchedFor: 'c',
  signedInAt: now,
  expiresAt: now + 1_000,
}
const noise = (length: number): string =>
  Array.from({ length }, (_, index) => ((index * 2_654_435_761) % 4_294_967_296).toString(36)).join('')
const header = (lines: string[]): string =>
  lines
    .map((line) => line.split(';', 1)[0] as string)
    .filter((pair) => !pair.endsWith('='))
    .join('; ')

test('a sign-in is read back until it expires, by the same key and issuer', () => {
  const cookies = header(writeSession(session, scope))
  const read = (over: object, at = now) => openSessions().read(cookies, { ...scope, ...over }, at)
  assert.deepEqual(read({}), session)
  assert.equal(read({}, now + 1_000), undefined)
  assert.equal(read({ issuer: { url: 'https://other.example' } }), undefined)
  assert.equal(read({ cookieKey: Buffer.alloc(32, 2).toString('base64url') }), undefined)
  assert.equal(openSessions().read(undefined, scope, now), undefined)
})

test('what was sealed opens for its purpose alone, and only as it was written', () => {
  const sealed = seal({ a: 1 }, key, 'session')
  assert.deepEqual(unseal(sealed, key, 'session'), { a: 1 })
  assert.equal(unseal(sealed, key, 'try'), undefined)
  for (let index = 0; index < sealed.length; index++) {
    const changed = `${sealed.slice(0, index)}${sealed[index] === 'x' ? 'y' : 'x'}${sealed.slice(index + 1)}`
    assert.equal(unseal(changed, key, 'session'), undefined, `letter ${index}`)
    assert.equal(unseal(sealed.slice(0, index), key, 'session'), undefined, `cut at ${index}`)
  }
  for (const more of ['A', 'AAAA', '=', '==', '!', ' ', '\n', '.', sealed])
    assert.equal(unseal(sealed + more, key, 'session'), undefined, more)
  // What is the same bytes by another alphabet or with other last bits is another text.
  assert.equal(unseal(sealed.replaceAll('-', '+').replaceAll('_', '/'), key, 'session') === undefined, /[-_]/.test(sealed))
})

test('a long sign-in is cut, put together again in its order alone, and its last part cleared', () => {
  const long = { ...session, person: { ...person, groups: [noise(1_500)] } }
  const lines = writeSession(long, scope)
  const pairs = header(lines).split('; ')
  assert.ok(pairs.length > 1)
  assert.match(lines.at(-1) ?? '', /=; .*Max-Age=0/)
  assert.deepEqual(openSessions().read(pairs.join('; '), scope, now), long)
  assert.deepEqual(openSessions().read(pairs.toReversed().join('; '), scope, now), long)
  const [first = '', second = ''] = pairs
  const value = (pair: string) => pair.slice(pair.indexOf('=') + 1)
  const name = cookieName(scope)
  for (const cookies of [
    first,
    second,
    `${name}=${value(second)}; ${name}.1=${value(first)}`,
    `${name}=${value(first)}; ${name}.1=${value(first)}`,
    `${pairs.join('; ')}x`,
    `${name}=${value(first)}x; ${pairs.slice(1).join('; ')}`,
  ])
    assert.equal(openSessions().read(cookies, scope, now), undefined, cookies.slice(0, 60))
})

test('attributes are left out before groups are, and what could not be read again is not written', () => {
  const attributes = { note: noise(5_000) }
  const groups = ['a', 'b']
  const kept = openSessions().read(header(writeSession({ ...session, person: { ...person, groups, attributes } }, scope)), scope, now)
  assert.deepEqual(kept?.person.groups, groups)
  assert.deepEqual([kept?.person.attributes, kept?.isWithoutAttributes], [{}, true])
  assert.throws(() => writeSession({ ...session, person: { ...person, groups: [noise(5_000)] } }, scope), /more groups than cookies/)
  // Packed it would fit, unpacked it is too large to be opened.
  assert.throws(() => writeSession({ ...session, person: { ...person, groups: ['x'.repeat(200_000)] } }, scope), /more groups than cookies/)
})

test('what other applications are told goes along as far as all of it stays small, the latest first', () => {
  /** Nothing of it can be packed. */
  const told = (at: number, bytes: number) => ({ at, claims: { note: randomBytes(bytes).toString('base64') } })
  const attributes = { department: 'Sales' }
  const write = (claims: Session['claims']) => {
    const lines = writeSession({ ...session, person: { ...person, attributes }, ...(claims && { claims }) }, scope, () =>
      assert.fail('others are asked for again'),
    )
    const cookies = header(lines)
    return { cookies, read: openSessions().read(cookies, scope, now) }
  }
  const small = { own: told(now, 100), other: told(now - 1, 100) }
  assert.deepEqual(write(small).read?.claims, small)
  const { cookies, read } = write({
    older: told(now - 3, 1_000),
    own: told(now, 1_000),
    oldest: told(now - 4, 1_000),
    latest: told(now - 1, 1_000),
    late: told(now - 2, 1_000),
  })
  assert.deepEqual(Object.keys(read?.claims ?? {}), ['own', 'latest', 'late'])
  assert.ok(cookies.length < 6_000)
  const own = told(now, 100)
  const none = write({ own, other: told(now - 1, 5_000) }).read
  assert.deepEqual([none?.claims, none?.person.attributes], [{ own }, attributes])
})

test('what the application is told is left out before groups are, and that it was asked for is kept', () => {
  const told = (at: number, length: number) => ({ at, claims: { note: noise(length) } })
  const write = (claims: Session['claims'], groups: string[] = []) => {
    let isLeftOut = false
    const lines = writeSession({ ...session, person: { ...person, groups }, ...(claims && { claims }) }, scope, () => {
      isLeftOut = true
    })
    return { isLeftOut, read: openSessions().read(header(lines), scope, now) }
  }
  const own = write({ own: told(now, 5_000), other: told(now - 1, 100) }, [noise(2_000)])
  assert.deepEqual([own.isLeftOut, own.read?.claims], [true, { own: { at: now, claims: {} } }])
  assert.equal(own.read?.person.groups.length, 1)
})

test('cookies are for the application alone, or for its domain', () => {
  const [own = ''] = writeSession(session, scope)
  assert.match(own, /; Path=\/; Max-Age=1; HttpOnly; SameSite=Lax; Secure$/)
  const [below = ''] = writeSession(session, { ...scope, path: '/wiki' })
  assert.match(below, /; Path=\/wiki;/)
  const shared = { ...scope, mode: 'forward_domain', path: '/wiki', cookieDomain: 'example.com', origin: 'http://a.example.com' } as const
  const [domain = ''] = writeSession(session, shared)
  assert.match(domain, /; Path=\/; Max-Age=1; Domain=example\.com; HttpOnly; SameSite=Lax$/)
  for (const line of clearSession(shared)) assert.match(line, /=; Path=\/; Max-Age=0; Domain=example\.com;/)
})

test('a browser takes the cookie from the host itself, and from https, wherever it can say so', () => {
  for (const [over, expected] of [
    [{}, /^__Host-signet_outpost_/],
    [{ path: '/wiki' }, /^__Secure-signet_outpost_/],
    [{ mode: 'forward_domain', cookieDomain: 'example.com' }, /^__Secure-signet_outpost_/],
    [{ origin: 'http://wiki.localhost' }, /^signet_outpost_/],
  ] as const) {
    const there = { ...scope, ...over }
    const lines = [...writeSession(session, there), ...clearSession(there)]
    for (const line of lines) assert.match(line, expected)
    assert.deepEqual(openSessions().read(header(lines.slice(0, 1)), there, now), session)
  }
})

test('cookies of one name are found whatever stands around them, and only so many', () => {
  assert.deepEqual(cookiesNamed('a=1; b=2;a=3 ; aa=4; =5; a', 'a'), ['1', '3'])
  assert.deepEqual(cookiesNamed(undefined, 'a'), [])
  assert.equal(cookiesNamed('a=1; '.repeat(1_000), 'a').length, 5)
  assert.deepEqual(cookiesNamed(';;a; b;=;a=1;a', 'a'), ['1'])
})
