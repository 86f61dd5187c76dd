import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openKept } from './kept.ts'

test('the oldest is forgotten when there are too many, or they take too much', () => {
  const kept = openKept<number>({ most: 3, mostBytes: 100 })
  for (const [key, bytes] of [
    ['a', 10],
    ['b', 10],
    ['c', 10],
    ['d', 10],
  ] as const)
    kept.set(key, bytes, bytes)
  assert.equal(kept.get('a'), undefined)
  assert.equal(kept.size(), 3)
  kept.set('e', 1, 95)
  assert.deepEqual(
    ['b', 'c', 'd', 'e'].map((key) => kept.get(key)),
    [undefined, undefined, undefined, 1],
  )
  kept.set('e', 2, 50)
  kept.set('f', 3, 50)
  assert.equal(kept.get('e'), 2)
  kept.set('g', 4, 101)
  assert.equal(kept.get('g'), undefined)
  assert.equal(kept.get('f'), 3)
})
