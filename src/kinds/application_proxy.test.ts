import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publicPathPattern, publicPathProblem } from './public_path.ts'

test('a public path is one pattern over all of a path', () => {
  for (const [pattern, open, shut] of [
    ['/health', ['/health'], ['/healthy', '/health/', '/x/health', '/health\n']],
    ['/static/.*', ['/static/', '/static/a/b.css'], ['/static', '/x/static/a']],
    ['/a|/b', ['/a', '/b'], ['/ab', '/a/b', '/x/b']],
    ['/(css|js)/[^/]+', ['/css/a', '/js/b'], ['/css/a/b', '/css/']],
    ['/[0-9a-f]{32}', [`/${'a'.repeat(32)}`], [`/${'a'.repeat(33)}`]],
  ] as const) {
    assert.equal(publicPathProblem(pattern), undefined, pattern)
    for (const path of open) assert.ok(publicPathPattern(pattern).test(path), `${pattern} ${path}`)
    for (const path of shut) assert.ok(!publicPathPattern(pattern).test(path), `${pattern} ${path}`)
  }
})

for (const pattern of ['(', '[', '*', 'a)|(.*', 'a)(?:b', '\\', '(?<a', 'a{2,1}', '(?i:a', '/a**'])
  test(`${pattern} is no regular expression`, () => assert.match(publicPathProblem(pattern) ?? '', /no regular expression/))

for (const pattern of [
  '(a*)*',
  '(a+)+b',
  '(a|a)*b',
  '((a)*)*b',
  '(a*b*)*c',
  '(?:a{1,9}){1,9}b',
  '([a-z]+)*@',
  '/a*a*a*a*(?=b)',
  '(?=a)',
  '(?!admin).*',
  '(?<=a)b',
  '(a)\\1*',
  '(?<x>a)\\k<x>*',
  '/a{1,500}',
  '/[a-z]{1,100}x*',
])
  test(`how long ${pattern} takes has no bound`, () => assert.match(publicPathProblem(pattern) ?? '', /no bound/))

test('letters beyond ASCII stand in no path', () => {
  for (const pattern of ['\\p{L}', '/\\u{61}', '/\\u0061']) assert.match(publicPathProblem(pattern) ?? '', /ASCII/)
})

test('what passes takes no long time over the longest path', () => {
  for (const pattern of ['/.*a.*a.*a.*a.*a.*b', '/a*a*a*a*a*a*a*b', '/[^/]*/[^/]*/.*x', '/(a|b)c*d*c*d*e'])
    if (publicPathProblem(pattern) === undefined) {
      const began = performance.now()
      publicPathPattern(pattern).test(`/${'a'.repeat(2_047)}`)
      assert.ok(performance.now() - began < 500, `${pattern} ${performance.now() - began} ms`)
    } else assert.fail(pattern)
})
