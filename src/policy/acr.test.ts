import assert from 'node:assert/strict'
import { test } from 'node:test'
import { meetsAcr } from './acr.ts'

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
