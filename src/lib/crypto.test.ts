import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { deriveKey, openVault, randomToken, sameSecret } from './crypto.ts'
import { Secret } from './secret.ts'

const root = new Secret('a root secret of at least thirty-two bytes')

test('what was sealed opens with the same root secret, purpose and context', () => {
  const sealed = openVault(root, 'keys').seal('private', 'key-1')
  assert.equal(openVault(root, 'keys').open(sealed, 'key-1').toString(), 'private')
  assert.ok(!sealed.includes('private'))
})

const refused: [title: string, open: (sealed: Buffer) => unknown][] = [
  ['another context', (sealed) => openVault(root, 'keys').open(sealed, 'key-2')],
  ['another purpose', (sealed) => openVault(root, 'secrets').open(sealed, 'key-1')],
  ['another root secret', (sealed) => openVault(new Secret('another root secret of thirty-two bytes'), 'keys').open(sealed, 'key-1')],
  [
    'a changed byte',
    (sealed) => openVault(root, 'keys').open(Buffer.concat([sealed.subarray(0, -1), Buffer.from([(sealed.at(-1) ?? 0) ^ 1])]), 'key-1'),
  ],
  ['a cut tag', (sealed) => openVault(root, 'keys').open(sealed.subarray(0, 20), 'key-1')],
  ['nothing', () => openVault(root, 'keys').open(Buffer.alloc(0), 'key-1')],
]

for (const [title, open] of refused)
  test(`a sealed value does not open for ${title}`, () => {
    const sealed = openVault(root, 'keys').seal('private', 'key-1')
    assert.throws(() => open(sealed))
  })

test('keys of two purposes differ', () => {
  assert.notDeepEqual(deriveKey(root, 'a'), deriveKey(root, 'b'))
})

test('a secret prints as [secret], whoever prints it', () => {
  for (const printed of [`${root}`, JSON.stringify({ root }), inspect({ root }), String(root)])
    assert.ok(printed.includes('[secret]') && !printed.includes('thirty'))
})

test('tokens are compared whole', () => {
  const token = randomToken()
  assert.ok(sameSecret(token, token))
  assert.ok(!sameSecret(token, token.slice(0, -1)))
})
