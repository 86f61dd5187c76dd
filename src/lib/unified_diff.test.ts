import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { unifiedDiff } from './unified_diff.ts'

const names = { before: 'a', after: 'b' }

test('nothing is printed for what is the same', () => {
  assert.equal(unifiedDiff('one\ntwo\n', 'one\ntwo\n', names), '')
})

test('a changed line is shown with three lines around it', () => {
  const before = ['1', '2', '3', '4', '5', '6', '7', '8', '9'].join('\n')
  const after = before.replace('5', 'five')
  assert.equal(unifiedDiff(before, after, names), '--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n')
})

test('what was not there is an empty range before the first line', () => {
  assert.equal(unifiedDiff('', 'one\n', names), '--- a\n+++ b\n@@ -0,0 +1 @@\n+one\n')
})

test('patch(1) turns the one text into the other with it', {
  skip: spawnSync('patch', ['--version']).status !== 0 && 'patch is not installed',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-diff-'))
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 30 }).map((lines) => lines.map((line) => `${line}\n`).join(''))
  try {
    fc.assert(
      fc.property(text, text, (before, after) => {
        const file = join(folder, 'file')
        writeFileSync(file, before)
        const difference = unifiedDiff(before, after, { before: 'file', after: 'file' })
        if (difference === '') return before === after
        const { stdout } = spawnSync('patch', ['--quiet', '-u', '-o', '-', file], { input: difference, encoding: 'utf8' })
        return stdout === after
      }),
      { numRuns: 40 },
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})
