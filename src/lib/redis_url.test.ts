import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRedisUrl } from './redis_url.ts'

const addresses: [url: string, host: string, port: number, tls: boolean, user?: string | undefined, password?: string][] = [
  ['redis://cache', 'cache', 6379, false],
  ['redis://cache:7000/0', 'cache', 7000, false],
  ['redis://127.0.0.1/', '127.0.0.1', 6379, false],
  ['rediss://[::1]:6380', '::1', 6380, true],
  ['redis://:s%40cret@cache', 'cache', 6379, false, undefined, 's@cret'],
  ['rediss://signet:p%3Aw@cache.example.com:6380/2', 'cache.example.com', 6380, true, 'signet', 'p:w'],
]
for (const [url, host, port, tls, user, password] of addresses)
  test(`${url} is ${host}, port ${port}`, () => {
    const found = parseRedisUrl(url)
    assert.deepEqual({ ...found, password: found?.password?.reveal() }, { host, port, tls, user, password })
  })
