import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http2'
import { test } from 'node:test'
import { settle } from './http2_messages.ts'

const plain: [string, string][] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/a?b=c'],
  [':authority', 'id.example.com'],
]

/** As Node hands them on. */
const settled = (more: [string, string][], { pseudo = plain, ends = true } = {}) => {
  const all = [...pseudo, ...more]
  return settle(Object.fromEntries(all) as IncomingHttpHeaders, all.flat(), ends)
}

test('pseudo-headers stand where HTTP/1.1 says the same', () => {
  const { method, url, headers, rawHeaders } = settled([['accept', 'text/html']])
  assert.deepEqual([method, url], ['GET', '/a?b=c'])
  assert.deepEqual({ ...headers }, { accept: 'text/html', host: 'id.example.com' })
  assert.deepEqual(rawHeaders, ['accept', 'text/html', 'host', 'id.example.com'])
})

test('cookies that came one by one are one header', () => {
  assert.deepEqual(
    settled([
      ['cookie', 'a=1'],
      ['x', 'y'],
      ['cookie', 'b=2'],
    ]).rawHeaders,
    ['x', 'y', 'cookie', 'a=1; b=2', 'host', 'id.example.com'],
  )
})

test('a Host that says the same as :authority is one, whatever its case', () => {
  assert.deepEqual(settled([['host', 'ID.example.com']]).rawHeaders, ['host', 'id.example.com'])
})

test('a Host that says something else makes two, which the router refuses', () => {
  assert.deepEqual(settled([['host', 'evil.example']]).rawHeaders, ['host', 'id.example.com', 'host', 'evil.example'])
})

test('a Host alone counts', () => {
  const { headers } = settled([['host', 'id.example.com']], { pseudo: plain.filter(([name]) => name !== ':authority') })
  assert.equal(headers.host, 'id.example.com')
})

for (const [title, name, value] of [
  ['another scheme', ':scheme', 'http'],
  ['a target in absolute form', ':path', 'https://other.example/'],
  ['an asterisk', ':path', '*'],
] as const)
  test(`there is no path for ${title}`, () => {
    assert.equal(settled([], { pseudo: plain.map(([known, given]) => [known, known === name ? value : given]) }).url, '')
  })

test('a body without length is told as HTTP/1.1 tells it, and one with a length as it came', () => {
  assert.equal(settled([], { ends: false }).headers['transfer-encoding'], 'chunked')
  assert.equal(settled([['content-length', '3']], { ends: false }).headers['transfer-encoding'], undefined)
  assert.equal(settled([]).headers['transfer-encoding'], undefined)
})
