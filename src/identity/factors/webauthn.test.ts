import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from '#/lib/sql.ts'
import { by, openFactors, winnersOf20 } from '../../../test/support/factors.ts'
import { makePasskey, type Passkey, type Twist } from '../../../test/support/passkey.ts'
import { findFactors, listFactors } from '../authenticators.ts'
import { siteOf } from '../factor.ts'
import type { User } from '../user.ts'
import { updateUser } from '../users.ts'
import { webauthn } from './webauthn.ts'

let opened: Awaited<ReturnType<typeof openFactors>>
before(async () => {
  opened = await openFactors()
})
after(() => opened.drop())

const now = new Date('2026-01-02T03:04:05Z')
const here = { origin: 'https://id.example.org', rpId: 'id.example.org' }

const register = async (user: User, passkey: Passkey, twist: Twist = {}) => {
  const { kept, passkey: options = {} } = await webauthn.offer(opened.deps, user, now)
  return webauthn.confirm(opened.deps, user, { kept, credential: passkey.create(options, twist), name: 'Key' }, by, now)
}
const add = async (user: User, passkey: Passkey): Promise<string> => {
  const confirmed = await register(user, passkey)
  assert.equal(confirmed.kind, 'added', JSON.stringify(confirmed))
  return confirmed.kind === 'added' ? confirmed.authenticator.id : ''
}
const signIn = async (user: User | undefined, passkey: Passkey, twist: Twist = {}) => {
  const { kept, passkey: options = {} } = await webauthn.ask(opened.deps, user, now)
  return webauthn.verify(opened.deps, user, { kept, credential: passkey.get(options, twist) }, now)
}

describe('a passkey', () => {
  for (const alg of ['ES256', 'EdDSA'] as const)
    for (const synced of [false, true])
      test(`of ${alg} that ${synced ? 'can' : 'can not'} be copied signs in, with the name known and without`, async () => {
        const user = await opened.person()
        const passkey = makePasskey({ ...here, alg, synced })
        const id = await add(user, passkey)
        for (const whom of [undefined, user])
          assert.deepEqual(await signIn(whom, passkey), {
            kind: 'proven',
            type: 'webauthn',
            user_id: user.id,
            authenticator_id: id,
            amr: [synced ? 'swk' : 'hwk', 'user'],
            userVerified: true,
          })
        assert.deepEqual(await opened.lastUsed(id), now)
        assert.deepEqual(await findFactors(opened.db, user.id), { types: ['webauthn'], recoveryCodesLeft: 0 })
        assert.deepEqual(await opened.events(user), [{ action: 'factor.added', data: { type: 'webauthn', name: 'Key' } }])
      })

  test('that did not verify the person is a second factor, and no more', async () => {
    const user = await opened.person()
    const passkey = makePasskey(here)
    await add(user, passkey)
    const beside = await signIn(user, passkey, { userVerified: false })
    assert.deepEqual(beside.kind === 'proven' && [beside.amr, beside.userVerified], [['hwk'], false])
    const alone = await signIn(undefined, passkey, { userVerified: false })
    assert.match(alone.kind === 'refused' ? alone.log : '', /verification/)
  })

  test('without a handle of its owner is a second factor only', async () => {
    const user = await opened.person()
    const passkey = makePasskey(here)
    await add(user, passkey)
    for (const userHandle of ['', null]) {
      assert.equal((await signIn(user, passkey, { userHandle })).kind, 'proven')
      assert.equal((await signIn(undefined, passkey, { userHandle })).kind, 'refused')
    }
  })
})

describe('options', () => {
  test('of creation say nothing of the person but their names, and leave out what is there', async () => {
    const user = await opened.person({ name: 'Anna Example' })
    const passkey = makePasskey(here)
    await add(user, passkey)
    const { kept, passkey: options } = await webauthn.offer(opened.deps, user, now)
    const { challenge, ...rest } = options as { challenge: string }
    assert.equal(kept, challenge)
    assert.equal(Buffer.from(challenge, 'base64url').length, 32)
    assert.deepEqual(rest, {
      rp: { name: 'Example & Sons', id: 'id.example.org' },
      user: { id: Buffer.from(user.id.replaceAll('-', ''), 'hex').toString('base64url'), name: user.username, displayName: 'Anna Example' },
      pubKeyCredParams: [-8, -7, -257].map((alg) => ({ alg, type: 'public-key' })),
      timeout: 300_000,
      attestation: 'none',
      excludeCredentials: [{ id: passkey.id, transports: ['internal', 'hybrid'], type: 'public-key' }],
      authenticatorSelection: { residentKey: 'preferred', requireResidentKey: false, userVerification: 'preferred' },
      extensions: { credProps: true },
      hints: [],
    })
  })

  test('of request name the keys of who is known, and nobody without', async () => {
    const user = await opened.person()
    const passkey = makePasskey(here)
    await add(user, passkey)
    const known = await webauthn.ask(opened.deps, user, now)
    assert.deepEqual(known.passkey, {
      challenge: known.kept,
      rpId: 'id.example.org',
      timeout: 300_000,
      userVerification: 'preferred',
      allowCredentials: [{ id: passkey.id, transports: ['internal', 'hybrid'], type: 'public-key' }],
    })
    const unknown = await webauthn.ask(opened.deps, undefined, now)
    assert.notEqual(unknown.kept, known.kept)
    assert.deepEqual(unknown.passkey, {
      challenge: unknown.kept,
      rpId: 'id.example.org',
      timeout: 300_000,
      userVerification: 'required',
      allowCredentials: [],
    })
  })
})

const twists: [string, Twist][] = [
  ['of another origin', { origin: 'https://id.example.org.evil.example' }],
  ['of the same host without TLS', { origin: 'http://id.example.org' }],
  ['of another port', { origin: 'https://id.example.org:8443' }],
  ['for another host', { rpId: 'example.org' }],
  ['to another challenge', { challenge: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
  ['to no challenge', { challenge: '' }],
  ['of another ceremony', { type: 'payment.get' }],
  ['in a frame of another site', { crossOrigin: true }],
  ['without anybody there', { userPresent: false }],
]

describe('refuses to register a passkey', () => {
  for (const [title, twist] of twists)
    test(title, async () => {
      const user = await opened.person()
      assert.equal((await register(user, makePasskey(here), twist)).kind, 'refused')
      assert.deepEqual(await listFactors(opened.db, user.id), [])
    })

  const junk: [string, unknown][] = [
    ['nothing', undefined],
    ['a text', 'passkey'],
    ['another shape', { id: 'a', rawId: 'a', type: 'public-key', response: {} }],
    [
      'bytes that are no CBOR',
      { id: 'YWE', rawId: 'YWE', type: 'public-key', response: { clientDataJSON: 'e30', attestationObject: '_____w' } },
    ],
    [
      'too much',
      { id: 'YWE', rawId: 'YWE', type: 'public-key', response: { clientDataJSON: 'e30', attestationObject: 'A'.repeat(70_000) } },
    ],
  ]
  for (const [title, credential] of junk)
    test(`that is ${title}`, async () => {
      const user = await opened.person()
      const { kept } = await webauthn.offer(opened.deps, user, now)
      assert.equal((await webauthn.confirm(opened.deps, user, { kept, credential }, by, now)).kind, 'refused')
      assert.equal((await webauthn.verify(opened.deps, user, { kept, credential }, now)).kind, 'refused')
    })

  test('that is deep enough to end the program', async () => {
    const user = await opened.person()
    const { kept } = await webauthn.offer(opened.deps, user, now)
    const clientDataJSON = Buffer.from(JSON.stringify({ type: 'webauthn.create', challenge: kept, origin: here.origin })).toString(
      'base64url',
    )
    const attestationObject = Buffer.alloc(48_000, 0x81).toString('base64url')
    const credential = { id: 'YWE', rawId: 'YWE', type: 'public-key', response: { clientDataJSON, attestationObject } }
    assert.equal((await webauthn.confirm(opened.deps, user, { kept, credential }, by, now)).kind, 'refused')
  })

  test('that is there already, whoever has it', async () => {
    const passkey = makePasskey(here)
    await add(await opened.person(), passkey)
    await assert.rejects(register(await opened.person(), passkey), { code: 'conflict' })
  })

  test('when nothing was asked', async () => {
    const user = await opened.person()
    const { passkey: options = {} } = await webauthn.offer(opened.deps, user, now)
    const credential = makePasskey(here).create(options, { challenge: '' })
    assert.equal((await webauthn.confirm(opened.deps, user, { kept: '', credential }, by, now)).kind, 'refused')
  })

  test('without PIN or finger where the policy wants it', async () => {
    const user = await opened.person()
    const deps = { ...opened.deps, passkeys: { userVerification: 'required' as const } }
    const { kept, passkey: options = {} } = await webauthn.offer(deps, user, now)
    const passkey = makePasskey(here)
    const bare = passkey.create(options, { userVerified: false })
    assert.equal((await webauthn.confirm(deps, user, { kept, credential: bare }, by, now)).kind, 'refused')
    assert.equal((await webauthn.confirm(deps, user, { kept, credential: passkey.create(options) }, by, now)).kind, 'added')
    const asked = await webauthn.ask(deps, user, now)
    const credential = passkey.get(asked.passkey ?? {}, { userVerified: false })
    assert.equal((await webauthn.verify(deps, user, { kept: asked.kept, credential }, now)).kind, 'refused')
  })
})

describe('refuses a sign-in with a passkey', () => {
  const more: [string, Twist][] = [
    ['whose signature is damaged', { damaged: true }],
    ['that names another owner', { userHandle: Buffer.alloc(16, 7).toString('base64url') }],
    ['that could not be copied and now can', { synced: true }],
  ]
  for (const [title, twist] of [...twists, ...more])
    test(title, async () => {
      const user = await opened.person()
      const passkey = makePasskey(here)
      await add(user, passkey)
      for (const whom of [undefined, user]) assert.equal((await signIn(whom, passkey, twist)).kind, 'refused')
      assert.equal((await signIn(user, passkey)).kind, 'proven')
    })

  test('of someone else', async () => {
    const [one, other] = [await opened.person(), await opened.person()]
    const passkey = makePasskey(here)
    await add(one, passkey)
    assert.deepEqual(await signIn(other, passkey), { kind: 'refused', log: 'the passkey is of someone else' })
  })

  test('that nobody registered', async () => {
    const passkey = makePasskey(here)
    const { passkey: options = {} } = await webauthn.offer(opened.deps, await opened.person(), now)
    passkey.create(options)
    assert.deepEqual(await signIn(undefined, passkey), { kind: 'refused', log: 'the passkey is unknown here' })
  })

  test('of another issuer of ours', async () => {
    const user = await opened.person()
    const passkey = makePasskey(here)
    await add(user, passkey)
    const deps = { ...opened.deps, site: siteOf({ issuerUrl: 'https://other.example' }) }
    const { kept, passkey: options = {} } = await webauthn.ask(deps, user, now)
    assert.deepEqual((options as { allowCredentials: unknown[] }).allowCredentials, [])
    const credential = passkey.get(options, { origin: 'https://other.example', rpId: 'other.example' })
    assert.equal((await webauthn.verify(deps, user, { kept, credential }, now)).kind, 'refused')
  })

  test('of someone who may not sign in', async () => {
    const user = await opened.person()
    const passkey = makePasskey(here)
    await add(user, passkey)
    await updateUser(opened.db, user.id, { active: false }, by, now)
    for (const whom of [undefined, user]) assert.equal((await signIn(whom, passkey)).kind, 'refused')
  })

  test('whose counter stays or goes back', async () => {
    const user = await opened.person()
    const passkey = makePasskey(here)
    await add(user, passkey)
    assert.equal((await signIn(user, passkey, { counter: 4_294_967_290 })).kind, 'proven')
    for (const counter of [4_294_967_290, 5, 0]) assert.equal((await signIn(user, passkey, { counter })).kind, 'refused', `${counter}`)
    assert.equal((await signIn(user, passkey, { counter: 4_294_967_295 })).kind, 'proven')
  })

  test('seen before: of twenty at once one is let in', async () => {
    const user = await opened.person()
    const passkey = makePasskey(here)
    await add(user, passkey)
    const { kept, passkey: options = {} } = await webauthn.ask(opened.deps, user, now)
    const credential = passkey.get(options)
    assert.equal(await winnersOf20(() => webauthn.verify(opened.deps, user, { kept, credential }, now)), 1)
  })
})

test('what is kept of a credential', async () => {
  const user = await opened.person()
  await add(user, makePasskey({ ...here, synced: true, aaguid: 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4' }))
  const row = await opened.db.one(sql`
    select rp_id, counter::integer, transports, aaguid, device_type, backed_up, attestation_format from authenticators where user_id = ${user.id}`)
  assert.deepEqual(row, {
    rp_id: 'id.example.org',
    counter: 0,
    transports: ['internal', 'hybrid'],
    aaguid: 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4',
    device_type: 'multiDevice',
    backed_up: true,
    attestation_format: 'none',
  })
})
