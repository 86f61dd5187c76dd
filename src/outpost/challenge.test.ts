import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { challengesTo, isLedToSignIn } from './challenge.ts'

const own = `signet_${'x'.repeat(40)}`
const basic = (password: string) => `Basic ${Buffer.from(`anna:${password}`).toString('base64')}`
const html = 'text/html,application/xhtml+xml,*/*;q=0.8'
const realm = 'realm="https://wiki.example"'
const plain = [`Bearer ${realm}`]
const wrong = [`Bearer ${realm}, error="invalid_token"`]
const asked = [`Bearer ${realm}`, `Basic ${realm}, charset="UTF-8"`]

const rows: [who: string, headers: IncomingHttpHeaders, isLed: boolean, challenges: string[]][] = [
  ['a browser on its way to a page', { accept: html, 'sec-fetch-mode': 'navigate' }, true, plain],
  ['a program that shows nothing', { accept: '*/*' }, true, plain],
  ['a script', { accept: '*/*', 'sec-fetch-mode': 'cors' }, false, plain],
  ['a program that wants JSON', { accept: 'application/json' }, false, plain],
  ['a program with a token', { authorization: `Bearer ${own}` }, false, wrong],
  ['a program with a token, in lower case', { authorization: `bearer ${own}` }, false, wrong],
  ['a program with a token that wants a page', { authorization: `Bearer ${own}`, accept: html }, false, wrong],
  ['a program with a token of somebody else', { authorization: 'Bearer abc', accept: '*/*' }, false, wrong],
  ['a program with what is no token', { authorization: 'Bearer' }, false, wrong],
  ['a program with a token as password', { authorization: basic(own), accept: '*/*' }, false, asked],
  ['a program with another password', { authorization: basic('other') }, false, asked],
  ['a script with a token as password', { authorization: basic(own), 'sec-fetch-mode': 'cors' }, false, plain],
  ['an old script with a token as password', { authorization: basic(own), 'x-requested-with': 'XMLHttpRequest' }, false, plain],
  ['a script of another page with a password', { authorization: basic('other'), origin: 'https://wiki.example' }, false, plain],
  ['a script of a page with a password', { authorization: basic('other'), referer: 'https://wiki.example/' }, false, plain],
  ['a program with a token as password that wants a page', { authorization: basic(own), accept: html }, false, plain],
  // What the application asked the browser for earlier: that the sign-in is over is no reason to shut the person out.
  ['a browser with a password of the application', { authorization: basic('other'), 'sec-fetch-mode': 'navigate' }, true, plain],
  ['an old browser with a password of the application', { authorization: basic('other'), accept: html }, true, plain],
  ['a browser with a token as password', { authorization: basic(own), 'sec-fetch-mode': 'navigate' }, true, plain],
  ['a view of an app with its own token', { authorization: 'Bearer abc', 'sec-fetch-mode': 'navigate' }, true, wrong],
  ['a program with a scheme of the application', { authorization: 'Digest username="anna"', accept: '*/*' }, true, plain],
]
for (const [who, headers, isLed, challenges] of rows)
  test(`${who} is ${isLed ? 'led to the sign-in' : 'told 401'}, by ${challenges.join(' and ')}`, () => {
    assert.equal(isLedToSignIn('GET', { headers }), isLed)
    assert.equal(isLedToSignIn('POST', { headers }), false)
    assert.deepEqual(challengesTo({ headers }, { origin: 'https://wiki.example' }), challenges)
  })
