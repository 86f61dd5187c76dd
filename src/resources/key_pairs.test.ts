/** KeyPairs: what is taken, what is kept, and that a key is never shown. One story over one database. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { kinds } from '#/kinds/index.ts'
import { Secret } from '#/lib/secret.ts'
import { sql } from '#/lib/sql.ts'
import { makeAuthority } from '../../test/support/authority.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyAs, outcomes, readyOf } from '../../test/support/manifests.ts'
import { expireKeyPairs } from './expire_key_pairs.ts'
import { findPrivateKey } from './key_pairs.ts'
import { exportManifests, findOne } from './read.ts'

const now = new Date('2030-01-15T00:00:00Z')
const place = { namespace: 'default', name: 'site' }
let kernel: Kernel
type Pair = { cert: string; key: string }
let first: Pair
let second: Pair
let expired: Pair

before(async () => {
  kernel = await openKernel(now)
  const authority = await makeAuthority(now)
  first = await authority.issue('site.example.com')
  second = await authority.issue('site.example.com', 'www.example.com')
  expired = await (await makeAuthority(new Date('2029-06-01T00:00:00Z'))).issue('old.example.com')
})
after(() => kernel.drop())

const manifest = (spec: object, name = place.name) => ({
  apiVersion: 'signet.dev/v1alpha1',
  kind: 'KeyPair',
  metadata: { name },
  spec,
})
const apply = (spec: object, name?: string, options = {}) => applyAs(kernel, [manifest(spec, name)], options, now)
const find = () => findOne(kernel.db, { kind: kinds.KeyPair, ...place })
const keyOf = async (certificate: string) => (await findPrivateKey(kernel.db, kernel.rootSecret, place, certificate))?.reveal()
const everything = async () =>
  JSON.stringify([
    await kernel.db.any(sql`select * from resources`),
    await kernel.db.any(sql`select * from events`),
    (await kernel.db.any<{ sealed_key: Buffer }>(sql`select sealed_key from key_pair_keys`)).map(({ sealed_key }) =>
      sealed_key.toString('latin1'),
    ),
  ])
/** A line out of the middle, as it would stand in JSON. */
const traceOf = ({ key }: Pair) => key.split('\n')[2] ?? ''

test('without its key there is none', async () => {
  const [result] = await apply({ certificate: first.cert })
  assert.equal(result?.result, 'refused')
  assert.equal(result?.errors[0]?.pointer, '/spec/privateKey')
})

test('a certificate with its key is taken, and tells its names and how long it is valid', async () => {
  assert.deepEqual(outcomes(await apply({ certificate: first.cert, privateKey: first.key })), ['KeyPair site created'])
  const found = await find()
  assert.deepEqual(found?.status.dnsNames, ['site.example.com'])
  assert.equal(found?.status.notAfter, '2030-02-14T00:00:00.000Z')
  assert.equal(readyOf(found?.status)?.reason, 'Valid')
  assert.equal(await keyOf(first.cert), first.key)
})

test('the key stands in no resource, no export and no event, and is sealed where it is kept', async () => {
  assert.deepEqual(Object.keys((await find())?.spec ?? {}), ['certificate'])
  const exported = await Array.fromAsync(exportManifests(kernel.db, { kinds: [kinds.KeyPair] }))
  assert.doesNotMatch(JSON.stringify(exported), /PRIVATE KEY/)
  const all = await everything()
  assert.ok(!all.includes(traceOf(first)) && !all.includes('PRIVATE KEY'))
  await assert.rejects(findPrivateKey(kernel.db, new Secret('another root secret, just as long as that one'), place, first.cert))
})

test('the same again changes nothing, with its key or as it was exported', async () => {
  assert.deepEqual(outcomes(await apply({ certificate: first.cert, privateKey: first.key })), ['KeyPair site unchanged'])
  assert.deepEqual(outcomes(await apply({ certificate: first.cert })), ['KeyPair site unchanged'])
})

for (const [title, spec, expected] of [
  ['a key of another certificate', () => ({ certificate: first.cert, privateKey: second.key }), /does not belong/],
  ['another certificate without its key', () => ({ certificate: second.cert }), /is needed/],
  ['a key among the certificates', () => ({ certificate: `${second.cert}\n${second.key}` }), /PRIVATE KEY/],
  ['a key that is none', () => ({ certificate: second.cert, privateKey: 'no key' }), /wants one private key/],
] as [string, () => object, RegExp][])
  test(`${title} is refused, and the pair stays`, async () => {
    const [result] = await apply(spec())
    assert.equal(result?.result, 'refused')
    assert.match(JSON.stringify(result?.errors), expected)
    assert.equal((await find())?.spec.certificate, first.cert)
    assert.equal(await keyOf(first.cert), first.key)
  })

test('a trial keeps nothing', async () => {
  assert.deepEqual(outcomes(await apply({ certificate: second.cert, privateKey: second.key }, undefined, { dryRun: true })), [
    'KeyPair site configured',
  ])
  assert.equal(await keyOf(second.cert), undefined)
})

test('while it is paused both keys are there, after that the new one alone', async () => {
  await apply({ certificate: second.cert, privateKey: second.key, paused: true })
  assert.equal(kernel.snapshot.get('KeyPair', 'default', 'site')?.spec.certificate, first.cert)
  assert.equal(await keyOf(first.cert), first.key)
  await apply({ certificate: second.cert, paused: false })
  assert.equal(kernel.snapshot.get('KeyPair', 'default', 'site')?.spec.certificate, second.cert)
  assert.equal(await keyOf(second.cert), second.key)
  assert.equal(await keyOf(first.cert), undefined)
})

test('one that is over is taken, and says so', async () => {
  const [result] = await apply({ certificate: expired.cert, privateKey: expired.key }, 'over')
  assert.equal(result?.result, 'created')
  assert.equal(readyOf(result?.status)?.reason, 'Expired')
})

test('time alone makes one that is over say so, once, and an event tells it', async () => {
  const before = new Date('2030-02-13T23:59:59Z')
  const over = new Date('2030-02-14T00:00:00Z')
  assert.equal(await expireKeyPairs(kernel, before), 0)
  assert.equal(await expireKeyPairs(kernel, over), 1)
  assert.equal(readyOf((await find())?.status)?.reason, 'Expired')
  assert.equal(await expireKeyPairs(kernel, over), 0)
  const told = await kernel.db.any(sql`select 1 from events where action = 'keypair.not_ready' and target_name = 'default/site'`)
  assert.equal(told.length, 1)
})

test('a key goes with its KeyPair', async () => {
  await kernel.db.run(sql`delete from resources where kind = 'KeyPair'`)
  assert.deepEqual(await kernel.db.any(sql`select * from key_pair_keys`), [])
})
