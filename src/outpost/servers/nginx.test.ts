import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nginx } from './nginx.ts'

const rows: [title: string, chosen: string | undefined, url: string, expected: string | undefined][] = [
  ['the same host', 'wiki.example', 'https://wiki.example/a', 'wiki.example'],
  ['the same host and a port', 'wiki.example', 'https://Wiki.example.:8443/a', 'Wiki.example.:8443'],
  ['an address of IPv6', '[::1]', 'http://[::1]:8080/a', '[::1]:8080'],
  ['none, of a configuration that can not say', undefined, 'https://wiki.example/a', 'wiki.example'],
  ['another host', 'admin.example', 'https://wiki.example/a', undefined],
  ['nothing', '', 'https://wiki.example/a', undefined],
  ['two hosts', 'wiki.example, admin.example', 'https://wiki.example/a', undefined],
  ['no host', '/', 'https://wiki.example/a', undefined],
]
for (const [title, chosen, url, expected] of rows)
  test(`nginx asks for ${url} and chose ${title}`, () => {
    const headers = { 'x-original-url': url, ...(chosen === undefined ? {} : { 'x-original-host': chosen }) }
    assert.equal(nginx.original(headers, '/', 'GET')?.host, expected)
  })
