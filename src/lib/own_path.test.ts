import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownPath } from './own_path.ts'

test('a path of ours stays as it is', () => {
  for (const path of ['/', '/account', '/a?b=c&d=https://x.example/', '/a#b', '/oauth2/interaction/x_-1']) assert.equal(ownPath(path), path)
  assert.equal(ownPath('/tenant/a', '/tenant'), '/tenant/a')
  assert.equal(ownPath('/tenant', '/tenant'), '/tenant')
})

test('everything else becomes the root', () => {
  const foreign = [
    '',
    'account',
    'https://evil.example/',
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    ' /evil.example',
    '/a b',
    '/./\\evil.example',
    '/..//evil.example',
    '/.//evil.example',
    '/a/..//evil.example',
    'javascript:alert(1)',
    `/${'a'.repeat(3_000)}`,
    undefined,
    null,
    5,
    ['/a'],
  ]
  for (const text of foreign) assert.equal(ownPath(text), '/', String(text))
  for (const text of ['/', '/other', '/tenant2', '/tenant/../other']) assert.equal(ownPath(text, '/tenant'), '/tenant/', text)
})
