import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { before, test } from 'node:test'
import { makeAuthority } from '../../test/support/authority.ts'
import { canonicalAddress, fingerprintOf, namesOf, pairProblem, parseChain, parsePrivateKey } from './certificate.ts'

let authority: Awaited<ReturnType<typeof makeAuthority>>
let one: { cert: string; key: string }
let other: { cert: string; key: string }

before(async () => {
  authority = await makeAuthority(new Date())
  one = await authority.issue('one.example.com', '*.one.example.com', '192.0.2.1', '2001:db8::1')
  other = await authority.issue('other.example.com')
})

test('a chain is read in its order, text between the blocks left out', () => {
  const [first, second] = parseChain(`subject=CN one\n${one.cert}\nissuer\n${authority.ca}`)
  assert.match(first.subject, /one\.example\.com/)
  assert.match(second?.subject ?? '', /Own Root/)
})

test('a certificate tells its names, and addresses in one spelling', () => {
  assert.deepEqual(namesOf(parseChain(one.cert)[0]), {
    dns: ['one.example.com', '*.one.example.com'],
    ip: ['192.0.2.1', '2001:db8::1'],
  })
  assert.equal(canonicalAddress('2001:DB8:0:0:0:0:0:1'), '2001:db8::1')
})

test('a key and the certificate of it have one fingerprint', () => {
  const [first] = parseChain(one.cert)
  assert.deepEqual(fingerprintOf(first.publicKey), fingerprintOf(createPrivateKey(one.key)))
  assert.notDeepEqual(fingerprintOf(first.publicKey), fingerprintOf(createPrivateKey(other.key)))
})

test('a pair is refused when its key is another one', () => {
  assert.equal(pairProblem(one.cert, one.key), undefined)
  assert.equal(pairProblem(one.cert, other.key), 'does not belong to the certificate')
})

for (const [title, text, expected] of [
  ['nothing', () => '', /as PEM/],
  ['a key among them', () => `${one.cert}\n${one.key}`, /PRIVATE KEY/],
  ['a half of one', () => one.cert.slice(0, 200), /does not end/],
  ['nonsense between the lines', () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /can't be read/],
  ['a long chain', () => one.cert.repeat(11), /more than 10/],
] as [string, () => string, RegExp][])
  test(`a chain is refused: ${title}`, () => assert.throws(() => parseChain(text()), expected))

test('a key is refused in words that hold nothing of it', () => {
  assert.throws(() => parsePrivateKey(other.cert), /^Error: wants one private key as PEM$/)
  assert.throws(() => parsePrivateKey('-----BEGIN ENCRYPTED PRIVATE KEY-----\nsecret\n-----END ENCRYPTED PRIVATE KEY-----'), /is encrypted/)
})
