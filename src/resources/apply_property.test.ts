import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { kindNames, kinds } from '#/kinds/index.ts'
import { type Kernel, openKernel } from '../../test/support/kernel.ts'
import { applyDocuments } from './apply.ts'
import { parseManifests } from './manifest.ts'

const now = new Date('2030-01-01T00:00:00Z')
let kernel: Kernel

before(async () => {
  kernel = await openKernel(now)
})
after(() => kernel.drop())

/** Words of manifests, wrong values of every type, and keys that have broken programs before. */
const fieldNames = kindNames.flatMap((kind) => Object.keys(kinds[kind].spec.shape))
const junk = fc.oneof(
  fc.constantFrom<unknown>(
    '',
    '\0',
    '\ud800',
    '__proto__',
    'default',
    'authorization_code',
    'https://a.example/b',
    '5m',
    '0s',
    1e308,
    -1,
    null,
    true,
    [],
    {},
    'signet.dev/x',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.double(),
)
const key = fc.oneof(
  fc.constantFrom(...fieldNames, 'name', 'namespace', 'matchLabels', 'keys', '__proto__', 'constructor', ''),
  fc.string({ maxLength: 8 }),
)
const anything = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, junk, fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(key, tie('value'), { maxKeys: 5 })),
})).value
const manifest = fc.oneof(
  anything,
  fc.record(
    {
      apiVersion: fc.oneof({ weight: 9, arbitrary: fc.constant('signet.dev/v1alpha1') }, { weight: 1, arbitrary: anything }),
      kind: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...kindNames) }, { weight: 1, arbitrary: anything }),
      metadata: fc.oneof(
        { weight: 4, arbitrary: fc.record({ name: fc.constantFrom('a', 'b', 'A b') }) },
        { weight: 1, arbitrary: anything },
      ),
      spec: fc.dictionary(key, anything, { maxKeys: 6 }),
    },
    { requiredKeys: [] },
  ),
)

test('property: any document gets a result, and a refused one errors with pointers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(manifest, { minLength: 1, maxLength: 4 }), async (documents) => {
      const results = await applyDocuments(kernel, documents, { actor: 'property', dryRun: true }, now)
      for (const { result, errors } of results) {
        assert.equal(result === 'refused', errors.length > 0)
        for (const { pointer, detail } of errors) {
          assert.match(pointer, /^(\/|$)/)
          assert.ok(detail.length > 0 && detail.length < 2_000)
        }
      }
    }),
    { numRuns: 250 },
  )
})

test('property: any text is read as manifests, or each mistake has a detail', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc
          .array(
            fc.constantFrom('- ', 'a: ', '\n', '---\n', '&a ', '*a ', '[', ']', '{', '}', '!!binary ', '"', "'", '|', '> ', '<<: ', ' '),
            { maxLength: 60 },
          )
          .map((parts) => parts.join('')),
      ),
      async (text) => {
        for (const { errors, lineOf } of await parseManifests(text)) {
          for (const { detail } of errors) assert.ok(detail)
          const line = lineOf('/spec/scopes/0')
          assert.ok(line === undefined || line >= 1)
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('brackets nested without end are refused, not a crash', async () => {
  for (const text of ['['.repeat(200_000), '{a: '.repeat(50_000), `${'- '.repeat(50_000)}x`])
    assert.ok((await parseManifests(text)).every(({ errors }) => errors.length > 0))
})
