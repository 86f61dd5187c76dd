import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Problem } from '#/lib/problem.ts'
import { mostDocuments, parseManifests } from './manifest.ts'

const mistakesIn = async (text: string) => (await parseManifests(text)).flatMap(({ errors }) => errors)

const isTooLarge = (error: unknown) => error instanceof Problem && error.code === 'too_large'

/** The longest time in milliseconds for which nothing else had a turn, and the time in all. */
const longestBlock = async (work: () => Promise<unknown>): Promise<{ block: number; all: number }> => {
  const began = performance.now()
  let block = 0
  let last = began
  const look = () => {
    block = Math.max(block, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(look, 1)
  await work()
  clearInterval(timer)
  look()
  return { block, all: performance.now() - began }
}

test('a key that stands twice in a mapping is named with its line, in YAML and in JSON', async () => {
  assert.deepEqual(await mistakesIn('a: 1\nb:\n  c: 1\n  c: 2\n'), [{ pointer: '', detail: 'Map keys must be unique', line: 4 }])
  assert.deepEqual(await mistakesIn('{"a": 1,\n "a": 2}'), [{ pointer: '', detail: 'Map keys must be unique', line: 2 }])
  assert.deepEqual(await mistakesIn('a: {x: 1}\nb: {x: 1}\n'), [], 'the same key in two mappings is none')
})

test('lines are counted over all documents', async () => {
  const [first, second] = await parseManifests('kind: A\nspec:\n  x: 1\n---\nkind: B\nspec:\n  y: 1\n')
  assert.equal(first?.lineOf('/spec/x'), 3)
  assert.equal(second?.lineOf('/spec/y'), 7)
})

for (const [what, text] of [
  ['brackets', '['.repeat(500_000)],
  ['braces', '{a: '.repeat(200_000)],
  ['lists', '- '.repeat(200_000)],
  ['keys', '? '.repeat(200_000)],
] as const)
  test(`${what} without end are refused before they are built`, async () => {
    assert.deepEqual(await mistakesIn(text), [{ pointer: '', detail: "can't be read: it is nested too deep" }])
  })

test('documents without end are refused before they are built', async () => {
  const began = performance.now()
  await assert.rejects(parseManifests('---\na: 1\n'.repeat(100 * mostDocuments - 100_000)), isTooLarge)
  assert.ok(performance.now() - began < 20_000)
})

test('the time that a large mapping takes grows with its size, not with its square', async () => {
  const began = performance.now()
  const text = `{${Array.from({ length: 40_000 }, (_, i) => `"key${i}":1`).join(',')}}`
  assert.deepEqual(await mistakesIn(text), [])
  // Each key compared with each other one takes minutes.
  assert.ok(performance.now() - began < 30_000)
})

const manifests = Array.from(
  { length: 2_000 },
  (_, i) => `apiVersion: signet.dev/v1alpha1
kind: User
metadata: { name: user${i} }
spec: { username: user${i}, email: user${i}@example.com, groups: [a, b], attributes: { x: 1, y: [1, 2, 3] } }
`,
).join('---\n')

test('others have their turn while a large text is read', async () => {
  await parseManifests(manifests)
  const { block, all } = await longestBlock(() => parseManifests(manifests))
  assert.ok(block < all / 4, `${Math.round(block)} ms of ${Math.round(all)} ms went by without a turn`)
})

test('a large text is read as a small one is', async () => {
  const [first, second] = await parseManifests(`${' '.repeat(10_000)}\nkind: A\nspec:\n  x: 1\n---\nkind: B\nspec:\n  1: {"y/z": [a, b]}\n`)
  assert.deepEqual(first?.value, { kind: 'A', spec: { x: 1 } })
  assert.equal(first?.lineOf('/spec/x'), 4)
  assert.equal(second?.lineOf('/spec/1/y~1z/7'), 8)
  assert.equal(second?.lineOf('/kind'), 6)
})

test('resources in a list are documents of their own, each with its lines', async () => {
  for (const text of ['[{"kind": "A"},\n{"kind": "B", "spec":\n{"x": 1}}]', '- kind: A\n- kind: B\n  spec: {x: 1}\n']) {
    const [first, second, ...more] = await parseManifests(text)
    assert.deepEqual([first?.value, second?.value, more], [{ kind: 'A' }, { kind: 'B', spec: { x: 1 } }, []])
    assert.equal(second?.lineOf('/spec/x'), 3)
  }
  assert.deepEqual(await parseManifests('[]'), [])
  const nested = await parseManifests('[{"kind": "List", "items": [{"kind": "A"}]}, [{"kind": "B"}], null]')
  assert.deepEqual(
    nested.map(({ value }) => value),
    [{ kind: 'A' }, [{ kind: 'B' }], null],
  )
})

test('the items of a List stand for themselves, each with its lines', async () => {
  const [, second] = await parseManifests('kind: List\nitems:\n- kind: A\n- kind: B\n  spec:\n    x: 1\n')
  assert.deepEqual(second?.value, { kind: 'B', spec: { x: 1 } })
  assert.equal(second?.lineOf('/spec/x'), 6)
})

test('signs without end are refused, whatever they are', async () => {
  await assert.rejects(parseManifests(`[${'[],'.repeat(1_000_000)}]`), isTooLarge)
})

test('an alias that stands for much more than itself is refused', async () => {
  const laughs =
    'a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c]\n'
  assert.match((await mistakesIn(laughs))[0]?.detail ?? '', /alias/)
  assert.match((await mistakesIn('a: &a [*a]\n'))[0]?.detail ?? '', /^can't be read/)
  const large = `a: &a ${'x'.repeat(100_000)}\nb: [${'*a, '.repeat(90)}]\n`
  assert.deepEqual(await mistakesIn(large), [{ pointer: '', detail: 'is larger than 1048576 bytes', line: 1 }])
  await assert.rejects(parseManifests(`kind: List\na: &a ${'x'.repeat(900_000)}\nitems: [${'*a, '.repeat(90)}]\n`), isTooLarge)
})
