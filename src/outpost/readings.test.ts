import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPlain } from './address.ts'
import { goesUp, isUnambiguous, readingsOf, waysToRead } from './readings.ts'

for (const [path, reading] of [
  ['/%61dmin/x', '/admin/x'],
  ['/%2561dmin/x', '/admin/x'],
  ['//admin/x', '/admin/x'],
  ['/ADMIN/x', '/admin/x'],
  ['/%41DMIN', '/admin'],
  ['/;x/admin', '/admin'],
  ['/admin;x/y', '/admin/y'],
  ['/admin%3bx/y', '/admin/y'],
  ['\\admin', '/admin'],
  ['/admin%5cx', '/admin/x'],
  ['/admin%2fx', '/admin/x'],
  ['/open//../admin', '/open/../admin'],
  ['/wiki/b%C3%A4r', '/wiki/b%c3%a4r'],
] as const)
  test(`${path} may be read as ${reading}`, () => {
    assert.ok(!isUnambiguous(path))
    assert.ok(readingsOf(path).includes(reading), readingsOf(path).join(' '))
  })

test('a path of small letters and digits has one reading', () => {
  for (const path of ['/', '/wiki/page', '/a/b.css', '/a/b/', '/.well-known/x', '/a_b~c-d']) {
    assert.ok(isUnambiguous(path), path)
    assert.deepEqual([...new Set(readingsOf(path))], [path])
  }
})

test('a path goes up when some server would leave its folder', () => {
  for (const path of [
    '/..',
    '/open/..',
    '/open/.',
    '/open/../admin',
    '/./admin',
    '/open/%2e%2E/admin',
    '/open/.%2e',
    '/open/..%2fadmin',
    '/open%2f..%2fadmin',
    '/open//../admin',
    '/open\\..\\admin',
    '/open/..\\admin',
    '/open/..%5cadmin',
    '/open/%5c..%5cadmin',
    '/open/..;/admin',
    '/open/..;x=y/admin',
    '/open/..%3b/admin',
    '/open/%252e%252e/admin',
  ])
    assert.ok(goesUp(path), path)
  for (const path of ['/', '/a..b/c', '/...', '/a/..b', '/a/b..', '/.a', '/a%2fb', '/a;b/c', '/a/b%20..c', '/a%zz'])
    assert.ok(!goesUp(path), path)
})

test('rules see a path as it was sent and in every way to read it, but none that goes up', () => {
  const rows: [string, string[]][] = [
    ['/a/b', ['/a/b']],
    ['/Admin/x', ['/Admin/x']],
    ['/%61dmin', ['/%61dmin', '/admin']],
    ['/%2561dmin', ['/%2561dmin', '/%61dmin', '/admin']],
    ['//admin;x=1', ['//admin;x=1', '/admin']],
    ['/a%2fb', ['/a%2fb', '/a/b']],
    ['/x/../admin', []],
    ['/x/%2e%2e/admin', []],
  ]
  for (const [path, ways] of rows) assert.deepEqual(waysToRead(path), ways, path)
})

test('what readings cost grows with the length alone', () => {
  const began = performance.now()
  for (const part of ['/a.', '/.', ';', '%25', '..', '/', 'a', '/a'].map((text) => text.repeat(16_000 / text.length))) {
    goesUp(`/${part}`)
    isUnambiguous(`/${part}|`)
    waysToRead(`/${part}|`)
    isPlain(`/${part}`)
  }
  assert.ok(performance.now() - began < 1_000)
})
