import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCookie, writeCookie } from './cookie.ts'

test('a cookie is read by its whole name', () => {
  assert.equal(readCookie('a=1; signet_session=abc-_~.1; b=2', 'signet_session'), 'abc-_~.1')
  for (const header of [
    undefined,
    '',
    'signet_session',
    'x_signet_session=a',
    'signet_session=',
    'signet_session="a"',
    'signet_session=a b',
    `signet_session=${'a'.repeat(600)}`,
  ])
    assert.equal(readCookie(header, 'signet_session'), undefined, String(header))
})

test('a cookie is for its issuer, unseen by script, and secure where that can be', () => {
  assert.equal(writeCookie('a', 'v', { pathPrefix: '', issuerUrl: 'http://localhost:9000' }), 'a=v; Path=/; HttpOnly; SameSite=Lax')
  assert.equal(
    writeCookie('a', 'v', { pathPrefix: '/t', issuerUrl: 'https://id.example/t', maxAgeSeconds: 59.7 }),
    'a=v; Path=/t; Max-Age=59; HttpOnly; SameSite=Lax; Secure',
  )
})
