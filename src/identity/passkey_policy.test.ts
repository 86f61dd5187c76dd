import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeMaker } from '../../test/support/attestation.ts'
import { by, openFactors } from '../../test/support/factors.ts'
import { makePasskey, type PasskeyOptions } from '../../test/support/passkey.ts'
import { webauthn } from './factors/webauthn.ts'
import { findChainFault, type PasskeyPolicy } from './passkey_policy.ts'

const now = new Date()
const longAgo = new Date(now.getTime() - 3 * 86_400_000)
const yesterday = new Date(now.getTime() - 2 * 86_400_000)
const model = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4'

let opened: Awaited<ReturnType<typeof openFactors>>
let trusted: Awaited<ReturnType<typeof makeMaker>>
let foreign: Awaited<ReturnType<typeof makeMaker>>
before(async () => {
  opened = await openFactors()
  trusted = await makeMaker('Trusted', now)
  foreign = await makeMaker('Foreign', now)
})
after(() => opened.drop())

const register = async (policy: PasskeyPolicy, made: Pick<PasskeyOptions, 'attestation' | 'aaguid'>) => {
  const deps = { ...opened.deps, passkeys: policy }
  const user = await opened.person()
  const { kept, passkey: options = {} } = await webauthn.offer(deps, user, now)
  const passkey = makePasskey({ origin: 'https://id.example.org', rpId: 'id.example.org', ...made })
  const wanted = policy.attestation?.conveyance ?? 'none'
  assert.equal((options as { attestation: string }).attestation, wanted)
  const confirmed = await webauthn.confirm(deps, user, { kept, credential: passkey.create(options) }, by, now)
  return confirmed.kind === 'refused' ? confirmed.log : confirmed.kind
}
const direct = (aaguids: string[], roots = [trusted.root]): PasskeyPolicy => ({ attestation: { conveyance: 'direct', roots, aaguids } })

test('a model on the list whose maker is trusted is let in', async () => {
  const attestation = await trusted.issue()
  assert.equal(await register(direct([model.toUpperCase()]), { attestation, aaguid: model }), 'added')
  assert.equal(await register(direct([]), { attestation, aaguid: model }), 'added')
})

test('another model, another maker, no attestation and nobody trusted are refused', async () => {
  const attestation = await trusted.issue()
  assert.match(await register(direct(['00000000-0000-0000-0000-000000000001']), { attestation, aaguid: model }), /model ea9b8d66/)
  assert.match(await register(direct([model]), { attestation: await foreign.issue(), aaguid: model }), /does not lead to a root/)
  assert.match(await register(direct([model]), { aaguid: model }), /no certificates/)
  assert.match(await register(direct([model], []), { attestation, aaguid: model }), /does not lead to a root/)
})

test('who asks for no attestation takes whoever comes', async () => {
  assert.equal(await register({}, { attestation: await foreign.issue(), aaguid: model }), 'added')
  assert.equal(await register({ attestation: { conveyance: 'none' } }, {}), 'added')
})

test('a chain is refused that is long, not of this time, or put together from others', async () => {
  const { chain } = await trusted.issue()
  const leaf = chain[0] ?? new Uint8Array()
  const other = (await trusted.issue()).chain[0] ?? new Uint8Array()
  assert.equal(findChainFault(chain, [foreign.root, trusted.root], now), undefined)
  assert.equal(findChainFault([leaf, trusted.rootDer], [trusted.root], now), undefined)
  const old = await trusted.issue({ notBefore: longAgo, notAfter: yesterday })
  for (const [title, bad, roots] of [
    ['none', [], [trusted.root]],
    ['long', Array.from({ length: 7 }, () => leaf), [trusted.root]],
    ['expired', old.chain, [trusted.root]],
    ['a leaf as an authority', [leaf, other], [trusted.root]],
    ['a root that did not sign', [leaf, foreign.rootDer], [foreign.root]],
    ['foreign', chain, [foreign.root]],
  ] as const)
    assert.equal(typeof findChainFault(bad, roots, now), 'string', title)
  assert.equal(typeof findChainFault(chain, [trusted.root], new Date(now.getTime() + 60 * 86_400_000)), 'string')
})
