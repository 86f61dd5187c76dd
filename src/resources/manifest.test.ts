import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Problem } from '#/lib/problem.ts'
import { mostDocuments, parseManifests } from './manifest.ts'

const mistakesIn = (text: string) => parseManifests(text).flatMap(({ errors }) => errors)

test('a key that stands twice in a mapping is named with its line, in YAML and in JSON', () => {
  assert.deepEqual(mistakesIn('a: 1\nb:\n  c: 1\n  c: 2\n'), [{ pointer: '', detail: 'Map keys must be unique', line: 4 }])
  assert.deepEqual(mistakesIn('{"a": 1,\n "a": 2}'), [{ pointer: '', detail: 'Map keys must be unique', line: 2 }])
  assert.deepEqual(mistakesIn('a: {x: 1}\nb: {x: 1}\n'), [], 'the same key in two mappings is none')
})

test('lines are counted over all documents', () => {
  const [first, second] = parseManifests('kind: A\nspec:\n  x: 1\n---\nkind: B\nspec:\n  y: 1\n')
  assert.equal(first?.lineOf('/spec/x'), 3)
  assert.equal(second?.lineOf('/spec/y'), 7)
})

for (const [what, text] of [
  ['brackets', '['.repeat(500_000)],
  ['braces', '{a: '.repeat(200_000)],
  ['lists', '- '.repeat(200_000)],
  ['keys', '? '.repeat(200_000)],
] as const)
  test(`${what} without end are refused before they are built`, () => {
    assert.deepEqual(mistakesIn(text), [{ pointer: '', detail: "can't be read: it is nested too deep" }])
  })

test('documents without end are refused before they are built', () => {
  const began = performance.now()
  assert.throws(
    () => parseManifests('---\na: 1\n'.repeat(100 * mostDocuments - 100_000)),
    (error) => error instanceof Problem && error.code === 'too_large',
  )
  assert.ok(performance.now() - began < 20_000)
})

test('the time that a large mapping takes grows with its size, not with its square', () => {
  const began = performance.now()
  const text = `{${Array.from({ length: 40_000 }, (_, i) => `"key${i}":1`).join(',')}}`
  assert.deepEqual(mistakesIn(text), [])
  // Each key compared with each other one takes minutes.
  assert.ok(performance.now() - began < 30_000)
})
