import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, test } from 'node:test'
import { servers } from './index.ts'
import type { Original } from './server.ts'

interface Row {
  it: string
  headers: IncomingHttpHeaders
  /** What follows the endpoint's path. */
  rest?: string
  method?: string
  original: Original | undefined
}

const forwarded = {
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'wiki.example.com',
  'x-forwarded-uri': '/a?b=c&d=e',
  'x-forwarded-method': 'POST',
}
const wiki: Original = { scheme: 'https', host: 'wiki.example.com', target: '/a?b=c&d=e', method: 'POST' }
const without = (name: keyof typeof forwarded) => ({ ...forwarded, [name]: undefined })

const fromForwardedHeaders: Row[] = [
  { it: 'reads the request from X-Forwarded-*', headers: forwarded, original: wiki },
  {
    it: 'takes the method of the asking request where none is said',
    headers: without('x-forwarded-method'),
    original: { ...wiki, method: 'GET', isMethodGuessed: true },
  },
  {
    it: 'needs the host, and does not take Host instead',
    headers: { ...without('x-forwarded-host'), host: 'wiki.example.com' },
    original: undefined,
  },
  { it: 'needs the address', headers: without('x-forwarded-uri'), original: undefined },
  { it: 'needs the scheme', headers: without('x-forwarded-proto'), original: undefined },
  { it: 'refuses two hosts', headers: { ...forwarded, 'x-forwarded-host': 'wiki.example.com, other.example.com' }, original: undefined },
  { it: 'refuses two schemes', headers: { ...forwarded, 'x-forwarded-proto': 'https, http' }, original: undefined },
  { it: 'refuses two methods', headers: { ...forwarded, 'x-forwarded-method': 'POST, GET' }, original: undefined },
  {
    it: 'keeps commas of an address',
    headers: { ...forwarded, 'x-forwarded-uri': '/a,b?c=d,e' },
    original: { ...wiki, target: '/a,b?c=d,e' },
  },
  { it: 'knows web sockets by wss', headers: { ...forwarded, 'x-forwarded-proto': 'wss' }, original: wiki },
  { it: 'knows web sockets by ws', headers: { ...forwarded, 'x-forwarded-proto': 'ws' }, original: { ...wiki, scheme: 'http' } },
  { it: 'refuses a scheme that is none of the web', headers: { ...forwarded, 'x-forwarded-proto': 'ftp' }, original: undefined },
]

const tables: Record<string, Row[]> = {
  traefik: fromForwardedHeaders,
  caddy: fromForwardedHeaders,
  nginx: [
    {
      it: 'reads the request from X-Original-URL and X-Original-Method',
      headers: { 'x-original-url': 'https://wiki.example.com/a?b=c&d=e', 'x-original-method': 'POST' },
      original: wiki,
    },
    {
      it: 'takes GET where no method is said, since auth_request always asks by GET',
      headers: { 'x-original-url': 'https://wiki.example.com/' },
      original: { scheme: 'https', host: 'wiki.example.com', target: '/', method: 'GET', isMethodGuessed: true },
    },
    {
      it: 'keeps commas of an address',
      headers: { 'x-original-url': 'https://wiki.example.com/a,b', 'x-original-method': 'GET' },
      original: { scheme: 'https', host: 'wiki.example.com', target: '/a,b', method: 'GET' },
    },
    {
      it: 'needs X-Original-URL',
      headers: { host: 'wiki.example.com', 'x-original-uri': '/a', 'x-forwarded-uri': '/a' },
      original: undefined,
    },
    { it: 'needs a path', headers: { 'x-original-url': 'https://wiki.example.com' }, original: undefined },
    { it: 'needs a host', headers: { 'x-original-url': 'https:///a' }, original: undefined },
    {
      it: 'refuses two addresses',
      headers: { 'x-original-url': 'https://wiki.example.com/a, https://wiki.example.com/b' },
      original: undefined,
    },
    {
      it: 'refuses two methods',
      headers: { 'x-original-url': 'https://wiki.example.com/a', 'x-original-method': 'POST, GET' },
      original: undefined,
    },
  ],
  envoy: [
    {
      it: 'reads the request itself, below its path',
      headers: { host: 'wiki.example.com', 'x-forwarded-proto': 'https' },
      rest: '/a?b=c&d=e',
      method: 'POST',
      original: wiki,
    },
    {
      it: 'takes http where the scheme did not come along',
      headers: { host: 'wiki.example.com' },
      rest: '/',
      original: { scheme: 'http', host: 'wiki.example.com', target: '/', method: 'GET' },
    },
    {
      it: 'does not hear what a browser says of another address',
      headers: {
        host: 'wiki.example.com',
        'x-forwarded-uri': '/public',
        'x-forwarded-host': 'other.example.com',
        'x-original-url': 'https://other.example.com/public',
      },
      rest: '/a',
      original: { scheme: 'http', host: 'wiki.example.com', target: '/a', method: 'GET' },
    },
    {
      it: 'keeps two slashes',
      headers: { host: 'a.example' },
      rest: '//a',
      original: { scheme: 'http', host: 'a.example', target: '//a', method: 'GET' },
    },
    { it: 'needs a host', headers: {}, rest: '/a', original: undefined },
    {
      it: 'refuses two schemes',
      headers: { host: 'wiki.example.com', 'x-forwarded-proto': 'https, http' },
      rest: '/a',
      original: undefined,
    },
  ],
}

for (const [name, rows] of Object.entries(tables))
  describe(name, () => {
    for (const { it, headers, rest = '/', method = 'GET', original } of rows)
      test(it, () => assert.deepEqual(servers[name]?.original(headers, rest, method), original))
  })

test('every proxy that is answered has a table', () => assert.deepEqual(Object.keys(tables).sort(), Object.keys(servers).sort()))
