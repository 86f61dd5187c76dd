import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEndings } from './endings.ts'

const issuer = 'https://id.example.com'
const hour = 3_600_000
const start = Date.parse('2026-03-01T12:00:00Z')

test('what ended is known until no cookie can name it', () => {
  const endings = openEndings()
  endings.add({ issuer, sid: 'a', endedAt: start })
  assert.deepEqual([endings.has(issuer, 'a', start - hour), endings.has(issuer, 'b', start - hour)], [true, false])
  assert.equal(endings.has('https://other.example.com', 'a', start - hour), false)
  endings.forget(start)
  assert.equal(endings.has(issuer, 'a', start - hour), true)
  endings.forget(start + 1)
  assert.equal(endings.has(issuer, 'a', start - hour), false)
})

test('of too many the oldest are dropped, and whoever signed in before they ended counts as signed out', () => {
  const endings = openEndings({ most: 2 })
  for (const [sid, hours] of [
    ['a', 0],
    ['b', 1],
    ['c', 5],
    ['d', 6],
  ] as const)
    endings.add({ issuer, sid, endedAt: start + hours * hour })
  assert.deepEqual(
    endings.list().map(({ sid }) => sid),
    ['c', 'd'],
  )
  assert.equal(endings.forgottenUntil(), start + hour)
  const signedIn = (sid: string, hours: number) => endings.has(issuer, sid, start + hours * hour)
  assert.deepEqual([signedIn('a', -1), signedIn('b', 0.5), signedIn('e', 1), signedIn('e', 1.9)], [true, true, true, true])
  assert.deepEqual([signedIn('e', 2.1), signedIn('c', 2.1)], [false, true])
})

test('after a restart what was dropped still refuses', () => {
  const endings = openEndings()
  endings.forgetUntil(start)
  endings.forgetUntil(start - hour)
  assert.deepEqual([endings.has(issuer, 'a', start), endings.has(issuer, 'a', start + 2 * hour)], [true, false])
})
