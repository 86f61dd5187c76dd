import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuardedApplication } from './core.ts'
import { openGuard } from './guard.ts'

const at = (key: string, host: string, path: string) => ({ key, host, path, mode: 'proxy', headers: {} }) as unknown as GuardedApplication
const guard = openGuard([
  at('root', 'a.example', ''),
  at('admin', 'a.example', '/admin'),
  at('deep', 'a.example', '/admin/deep'),
  at('upper', 'b.example', '/Wiki'),
  at('other', 'b.example', '/x'),
  at('umlaut', 'b.example', '/b%C3%A4r'),
  at('single', 'c.example', '/app'),
  at('all', 'e.example', ''),
])
const rows: [host: string, path: string, expected: string | undefined][] = [
  ['a.example', '/', 'root'],
  ['a.example', '/administrator', 'root'],
  ['a.example', '/admin', 'admin'],
  ['a.example', '/admin/x', 'admin'],
  ['a.example', '/admin/deep/x', 'deep'],
  ['a.example', '/%C3%A4/@scope%2fpackage', 'root'],
  ['a.example', '/admin/%C3%A4', 'admin'],
  ['a.example', '/A/b', 'root'],
  ['a.example', '/%61dmin', undefined],
  ['a.example', '/Admin', undefined],
  ['a.example', '//admin', undefined],
  ['a.example', '/admin%2fdeep', undefined],
  ['a.example', '/admin//deep', undefined],
  ['a.example', '/admin;x/y', undefined],
  ['a.example', '/x/../y', 'root'],
  ['a.example', '/x/../admin', undefined],
  ['a.example', '/admin/../x', undefined],
  ['a.example', '/admin/./x', 'admin'],
  ['a.example', '/x/../admin/x/..//..', undefined],
  ['a.example', '/x/../admin/x\\..\\..', undefined],
  ['a.example', '/x/%2e%2e/y', undefined],
  ['a.example', '/%zz', undefined],
  ['c.example', '/app/../x', undefined],
  ['c.example', '/app/%2e%2e/x', undefined],
  ['e.example', '/%zz/..', 'all'],
  ['b.example', '/Wiki/A', 'upper'],
  ['b.example', '/b%C3%A4r/x', 'umlaut'],
  ['b.example', '/b%c3%a4r/x', undefined],
  ['b.example', '/wiki/a', undefined],
  ['c.example', '/app/%61', 'single'],
  ['c.example', '/', undefined],
  ['d.example', '/', undefined],
]
for (const [host, path, expected] of rows) test(`${host}${path} is ${expected}`, () => assert.equal(guard.find(host, path)?.key, expected))

test('the outermost of a host answers for it', () => {
  assert.equal(guard.onHost('a.example')?.key, 'root')
  assert.equal(guard.onHost('c.example')?.key, 'single')
  assert.equal(guard.onHost('d.example'), undefined)
})

test('knows the names that any application states', () => {
  const stating = (key: string, mode: string, header: string) =>
    ({
      key,
      host: `${key}.example`,
      path: '',
      mode,
      client: { clientId: key },
      headers: { claims: [{ header, claim: 'c' }] },
    }) as unknown as GuardedApplication
  const { headers, stated } = openGuard([
    stating('a', 'forward_single', 'X-Role'),
    stating('b', 'proxy', 'X_Badge'),
    at('c', 'c.example', ''),
  ])
  assert.deepEqual([headers, [...stated]], [['X-Role'], ['x-role', 'x-badge']])
})
