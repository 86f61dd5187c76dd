import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acrOf, meetsAcr, withMfa } from './acr.ts'

const rows: [string | undefined, unknown[], boolean][] = [
  ['1fa', ['1fa'], true],
  ['2fa', ['1fa'], true],
  ['phr', ['2fa', 'urn:example:gold'], true],
  ['1fa', ['2fa', 'phr'], false],
  ['phr', ['urn:example:gold'], false],
  [undefined, ['1fa'], false],
  ['urn:example:gold', ['urn:example:gold'], false],
  ['1fa', [], false],
  ['1fa', [null, 1, {}], false],
]
for (const [acr, wanted, expected] of rows)
  test(`${acr} ${expected ? 'meets' : 'does not meet'} ${JSON.stringify(wanted)}`, () => assert.equal(meetsAcr(acr, wanted), expected))

const reached: [string[], string][] = [
  [['pwd'], '1fa'],
  [['otp'], '1fa'],
  [['pwd', 'otp'], '2fa'],
  [['pwd', 'hwk'], '2fa'],
  [['swk'], '1fa'],
  [['swk', 'user'], 'phr'],
  [['pwd', 'user'], '1fa'],
  [[], '1fa'],
]
for (const [amr, acr] of reached) test(`${amr.join(' and ') || 'nothing'} is ${acr}`, () => assert.equal(acrOf(amr), acr))

test('mfa stands beside what was proven, once, and only where it is more than one', () => {
  assert.deepEqual(withMfa(['pwd']), ['pwd'])
  assert.deepEqual(withMfa(['pwd', 'otp', 'mfa']), ['pwd', 'otp', 'mfa'])
})
