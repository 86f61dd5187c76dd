import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readingsOf } from './readings.ts'

for (const [path, readings] of [
  ['/', ['/']],
  ['/wiki/page', ['/wiki/page']],
  ['/wiki/b%C3%A4r', ['/wiki/b%C3%A4r', '/wiki/bär']],
  ['/%61dmin/x', ['/%61dmin/x', '/admin/x']],
  ['//admin/x', ['//admin/x', '/admin/x']],
  ['/open/../admin', ['/open/../admin', '/admin']],
  ['/open/%2e%2e/admin', ['/open/%2e%2e/admin', '/open/../admin', '/admin']],
  ['/open//../admin', ['/open//../admin', '/open/../admin', '/open/admin', '/admin']],
  ['/open/..%2fadmin', ['/open/..%2fadmin', '/open/../admin', '/admin']],
  ['/open\\..\\admin', ['/open\\..\\admin', '/open/../admin', '/admin']],
  ['/open/%5c..%5cadmin', ['/admin', '/open/admin']],
  ['/open/..;/admin', ['/open/..;/admin', '/admin']],
  ['/./admin', ['/./admin', '/admin']],
  ['/open/.', ['/open/.', '/open/']],
  ['/open/..', ['/open/..', '/']],
] as const)
  test(`${path} may be read as ${readings.join(' and ')}`, () => {
    const found = readingsOf(path)
    for (const reading of readings) assert.ok(found?.includes(reading), `${reading} in ${found?.join(' ')}`)
    if (!/%|\/\/|\/\.|\\|;/.test(path)) assert.equal(found?.length, 1)
  })

test('what can not be decoded has no reading', () => {
  assert.equal(readingsOf('/a%zz'), undefined)
  assert.equal(readingsOf('/a%ff'), undefined)
})
