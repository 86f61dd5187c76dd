import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const source = join(import.meta.dirname, '..')

/** Files of this folder by which others come into it. */
const entrances = new Set(
  globSync('**/*.ts', { cwd: source, exclude: (path) => path.endsWith('.test.ts') }).flatMap((file) =>
    [...readFileSync(join(source, file), 'utf8').matchAll(/'#\/oidc\/([a-z_/]+\.ts)'/g)].map((match) => match[1] ?? ''),
  ),
)

test('by whichever file the library is loaded, it says nothing about the runtime', () => {
  assert.ok(entrances.size > 0)
  for (const entrance of entrances) {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['-e', `import(${JSON.stringify(join(import.meta.dirname, entrance))})`],
      {
        encoding: 'utf8',
        timeout: 60_000,
      },
    )
    assert.deepEqual([status, stdout, stderr], [0, '', ''], entrance)
  }
})
