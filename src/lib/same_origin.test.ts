import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSameOrigin, provesSameOrigin } from './same_origin.ts'

const issuer = 'https://id.example/tenant'
const rows: [Record<string, string>, boolean][] = [
  [{}, true],
  [{ origin: 'https://id.example' }, true],
  [{ origin: 'https://id.example', 'sec-fetch-site': 'same-origin' }, true],
  [{ 'sec-fetch-site': 'none' }, true],
  [{ 'sec-fetch-site': 'same-site' }, false],
  [{ 'sec-fetch-site': 'cross-site' }, false],
  [{ 'sec-fetch-site': 'nonsense' }, false],
  [{ origin: 'null' }, false],
  [{ origin: 'http://id.example' }, false],
  [{ origin: 'https://id.example:8443' }, false],
  [{ origin: 'https://id.example.evil.example' }, false],
  [{ origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }, false],
]
for (const [headers, expected] of rows)
  test(`${JSON.stringify(headers)} ${expected ? 'may be' : 'is not'} of ours`, () => assert.equal(isSameOrigin(headers, issuer), expected))

for (const [headers, expected] of rows) {
  const says = headers.origin !== undefined || headers['sec-fetch-site'] === 'same-origin'
  test(`${JSON.stringify(headers)} ${expected && says ? 'proves' : 'does not prove'} it`, () =>
    assert.equal(provesSameOrigin(headers, issuer), expected && says))
}
