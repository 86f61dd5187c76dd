import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { before, test } from 'node:test'
import { X509CertificateGenerator } from '@peculiar/x509'
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

test('an RSA key is taken with 2048 to 4096 bits alone, in a certificate as by itself', async () => {
  const selfSigned = async (modulusLength: number) => {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', modulusLength, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const made = await X509CertificateGenerator.createSelfSigned({ name: 'CN=rsa.example.com', keys, signingAlgorithm: algorithm })
    return made.toString('pem')
  }
  const small = await selfSigned(1_024)
  assert.throws(() => parseChain(small), /^Error: has a key of 1024 bits: RSA is taken with 2048 to 4096$/)
  assert.ok(parseChain(await selfSigned(2_048)))
  for (const [bits, taken] of [
    [1_024, false],
    [2_048, true],
    [4_096, true],
    [5_120, false],
  ] as const) {
    const pem = generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    if (taken) assert.ok(parsePrivateKey(pem))
    else assert.throws(() => parsePrivateKey(pem), /bits: RSA is taken with/)
  }
})
