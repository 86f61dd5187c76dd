import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPlain, parseHost, parseTarget } from './address.ts'

const hosts: [host: string | undefined, scheme: string, expected: string | undefined][] = [
  ['Wiki.Example.com', 'https', 'wiki.example.com'],
  ['wiki.example.com.', 'https', 'wiki.example.com'],
  ['wiki.example.com:443', 'https', 'wiki.example.com'],
  ['wiki.example.com:443', 'wss', 'wiki.example.com'],
  ['wiki.example.com:80', 'http', 'wiki.example.com'],
  ['wiki.example.com:80', 'https', 'wiki.example.com:80'],
  ['wiki.example.com:0443', 'https', 'wiki.example.com'],
  ['wiki.example.com.:8443', 'https', 'wiki.example.com:8443'],
  ['[2001:DB8::1]:8443', 'https', '[2001:db8::1]:8443'],
  ['[::1]', 'http', '[::1]'],
  ['', 'http', undefined],
  [undefined, 'http', undefined],
  ['a@wiki.example.com', 'https', undefined],
  ['wiki.example.com/x', 'https', undefined],
  ['wiki.example.com, other', 'https', undefined],
  ['wiki.example.com:', 'https', undefined],
  ['wiki.example.com:123456', 'https', undefined],
  ['wiki..example.com', 'https', undefined],
  ['.wiki.example.com', 'https', undefined],
  ['wiki.example.com..', 'https', undefined],
  ['w%69ki.example.com', 'https', undefined],
  ['w\u0456ki.example.com', 'https', undefined],
  ['wiki.example.com\r\nX-A: b', 'https', undefined],
  ['[::1', 'http', undefined],
  ['[fe80::1%25eth0]', 'http', undefined],
]
for (const [host, scheme, expected] of hosts)
  test(`host ${JSON.stringify(host)} by ${scheme} is ${expected}`, () => assert.equal(parseHost(host, scheme), expected))

test('a target is a path with a query, and nothing else', () => {
  assert.deepEqual(parseTarget('/a/b?c=d?e'), { path: '/a/b', query: '?c=d?e' })
  assert.deepEqual(parseTarget('//a'), { path: '//a', query: '' })
  for (const target of [undefined, '', 'a', '*', 'http://a/', '/a b', '/a#b', '/\u00e4', '/a\n', '/a\0', `/${'a'.repeat(20_000)}`])
    assert.equal(parseTarget(target), undefined, JSON.stringify(target))
})

test('a path is plain when every server reads it alike', () => {
  for (const path of ['/', '/a', '/a/b.css', '/a/', '/%C3%A4', '/a%20b', '/a,b', '/.well-known/x', '/...', "/a'b"])
    assert.ok(isPlain(path), path)
  for (const path of [
    '//a',
    '/a//b',
    '/a/../b',
    '/a/.',
    '/a\\b',
    '/a;b',
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a%252fb',
    '/a%00',
    '/a%0d%0ab',
    '/a%09',
    '/a%1f',
    '/a%7f',
    '/%2e%2e/a',
    '/a%3bb',
    '/a%3fb',
    '/a%23b',
    '/%',
    '/%zz',
    '/%c0%ae',
    `/${'a'.repeat(3_000)}`,
  ])
    assert.ok(!isPlain(path), path)
})
