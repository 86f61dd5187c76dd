import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKnownVersion, preconditionOf } from './entity_tags.ts'

/** Of version 7. */
const changes: [headers: Parameters<typeof preconditionOf>[0], passes: boolean][] = [
  [{}, true],
  [{ 'if-match': '*' }, true],
  [{ 'if-match': '"7"' }, true],
  [{ 'if-match': '7' }, true],
  [{ 'if-match': '"1", "7"' }, true],
  [{ 'if-match': ' ,"7",, "1" ' }, true],
  [{ 'if-match': 'W/"7"' }, false],
  [{ 'if-match': 'W/"7", "1"' }, false],
  [{ 'if-match': '"1,7"' }, false],
  [{ 'if-match': '"1' }, false],
  [{ 'if-match': '' }, false],
  [{ 'if-none-match': '*' }, false],
  [{ 'if-none-match': '"7"' }, false],
  [{ 'if-none-match': '"1", W/"7"' }, false],
  [{ 'if-none-match': '"1"' }, true],
  [{ 'if-match': '"7"', 'if-none-match': '*' }, false],
]
for (const [headers, passes] of changes)
  test(`a change of version 7 with ${JSON.stringify(headers)} ${passes ? 'passes' : 'is refused'}`, () => {
    assert.equal(preconditionOf(headers)?.('7') ?? true, passes)
  })

const reads: [header: string | undefined, known: boolean][] = [
  [undefined, false],
  ['"7"', true],
  ['W/"7"', true],
  ['"1", "7"', true],
  ['*', true],
  ['"1"', false],
]
for (const [header, known] of reads)
  test(`who reads version 7 with If-None-Match ${header} has ${known ? 'it already' : 'it not yet'}`, () => {
    assert.equal(isKnownVersion({ 'if-none-match': header }, '7'), known)
  })
