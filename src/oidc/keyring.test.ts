import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import { type FreshDatabase, freshDatabase } from '../../test/support/database.ts'
import { keyringOf, loadKeyring, planRotation, type RotationSettings, rotateKeysOf } from './keyring.ts'

const day = 86_400_000
const settings: RotationSettings = { algorithms: ['ES256'], everyMs: 90 * day, overlapMs: 7 * day, cause: undefined }
const at = (days: number) => new Date(Date.UTC(2030, 0, 1) + days * day)
const row = (kid: string, days: number, expires?: number) => ({
  kid,
  alg: 'ES256' as const,
  active_from: at(days),
  expires_at: expires === undefined ? null : at(expires),
  cause: null,
})

describe('planRotation', () => {
  it('makes the first key, to be used at once', () =>
    assert.deepEqual(planRotation([], settings, at(0)), [{ kind: 'make', alg: 'ES256', active_from: at(0) }]))
  it('leaves a young key alone', () => assert.deepEqual(planRotation([row('a', 0)], settings, at(82)), []))
  it('publishes the next key before it signs, and the old one after it has signed', () =>
    assert.deepEqual(planRotation([row('a', 0)], settings, at(83)), [
      { kind: 'make', alg: 'ES256', active_from: at(90) },
      { kind: 'retire', kid: 'a', expires_at: at(97) },
    ]))
  it('never has a key sign that nobody has seen, however late it comes', () =>
    assert.deepEqual(planRotation([row('a', 0)], settings, at(200))[0], { kind: 'make', alg: 'ES256', active_from: at(207) }))
  it('retires the keys of an algorithm that is no longer kept', () =>
    assert.deepEqual(planRotation([row('a', 0), { ...row('b', 0), alg: 'RS256' as const }], settings, at(5)), [
      { kind: 'retire', kid: 'b', expires_at: at(12) },
    ]))
  it('does nothing twice', () => assert.deepEqual(planRotation([row('a', 0, 97), row('b', 90)], settings, at(84)), []))
  it('rotates at once for a cause not seen before', () => {
    const asked = { ...settings, cause: 'today' }
    assert.deepEqual(planRotation([row('a', 0)], asked, at(5)), [
      { kind: 'make', alg: 'ES256', active_from: at(5) },
      { kind: 'retire', kid: 'a', expires_at: at(12) },
    ])
    assert.deepEqual(planRotation([{ ...row('a', 5), cause: 'today' }], asked, at(6)), [])
  })
})

describe('the keyring', () => {
  let database: FreshDatabase
  before(async () => {
    database = await freshDatabase()
  })
  after(() => database.drop())

  it('servers that start at once make one set, sealed, and rotation keeps old keys published', async () => {
    const deps = { db: database.db, log: openLog('silent'), rootSecret: new Secret(randomBytes(36).toString('base64')) }
    const issuer = 'https://sign-in.example'
    const all: RotationSettings = { ...settings, algorithms: ['ES256', 'EdDSA'] }
    const rings = await Promise.all(Array.from({ length: 5 }, () => loadKeyring(deps, { issuer, settings: all }, at(0))))
    assert.equal(new Set(rings.map((ring) => ring.keys.map(({ kid }) => kid).join())).size, 1)
    assert.equal(rings[0]?.keys.length, 2)
    const first = rings[0]?.signers.get('ES256')?.kid
    assert.equal(await rotateKeysOf(deps, { issuer, settings: all }, at(84)), true)
    assert.equal(await rotateKeysOf(deps, { issuer, settings: all }, at(84)), false)
    const ring = await loadKeyring(deps, { issuer, settings: all }, at(84))
    assert.equal(ring.signers.get('ES256')?.kid, first)
    assert.equal(ring.keys.length, 4)
    assert.deepEqual(ring.validUntil, at(91))
    const later = keyringOf(issuer, ring.keys, at(92))
    assert.notEqual(later.signers.get('ES256')?.kid, first)
    assert.equal(
      later.keys.some(({ kid }) => kid === first),
      true,
    )
    assert.equal(
      keyringOf(issuer, ring.keys, at(99)).keys.some(({ kid }) => kid === first),
      false,
    )
    await assert.rejects(
      loadKeyring({ ...deps, rootSecret: new Secret(randomBytes(36).toString('base64')) }, { issuer, settings: all }, at(84)),
    )
  })
})
