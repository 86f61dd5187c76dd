import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import type { GuardedApplication } from './core.ts'
import { cookieName } from './session.ts'
import { namesOfAll } from './told_claims.ts'
import { requestHeaders, responseHeaders } from './upstream_headers.ts'

const application = {
  origin: 'https://wiki.example',
  cookieKey: 'k',
  client: { name: 'Wiki', clientId: 'wiki', labels: {} },
  headers: { remoteUser: false, jwt: false, claims: [{ header: 'X-Cost-Center', claim: 'cost' }] },
} as unknown as GuardedApplication
/** Perhaps the same program, at another address. */
const other = {
  client: { name: 'Desk', clientId: 'desk', labels: {} },
  headers: { remoteUser: false, jwt: false, claims: [{ header: 'X-Desk-Role', claim: 'role' }] },
}
const message = (raw: string[]) => {
  const headers: Record<string, string> = {}
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase()
    headers[name] = headers[name] === undefined ? (raw[index + 1] as string) : `${headers[name]}, ${raw[index + 1]}`
  }
  return { headers, rawHeaders: raw } as unknown as IncomingMessage
}
const pairs = (flat: string[]): [string, string][] =>
  Array.from({ length: flat.length / 2 }, (_, index) => [(flat[index * 2] as string).toLowerCase(), flat[index * 2 + 1] as string])
const sent = (raw: string[], authorization?: string) =>
  pairs(
    requestHeaders(message(raw), application, 'wiki.example', {
      network: '198.51.100.7',
      requestId: 'r',
      identity: { 'X-Signet-Username': 'anna', 'X-Signet-Email': '' },
      stated: namesOfAll([application, other]),
      authorization,
    }),
  )
const own: [string, string][] = [
  ['host', 'wiki.example'],
  ['x-forwarded-for', '198.51.100.7'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-host', 'wiki.example'],
  ['x-request-id', 'r'],
  ['x-signet-username', 'anna'],
]

test('of a request that claims everything nothing is left but what is true', () => {
  const claimed = [
    ...['Host', 'evil', 'Forwarded', 'a', 'X-Forwarded-For', 'a', 'x_forwarded_for', 'a', 'X.Forwarded.Host', 'a', 'X-Real-IP', 'a'],
    ...['True-Client-IP', 'a', 'X-Original-URL', 'a', 'X-Rewrite-URL', 'a', 'X-Override-URL', 'a', 'Via', 'a', 'X-Host', 'a', 'Proxy', 'a'],
    ...['X-Signet-Uid', 'a', 'Remote_User', 'a', 'SSL_CLIENT_CERT', 'a', 'X-SSL-CERT', 'a', 'Client-Cert', 'a', 'X-Client-Cert-Chain', 'a'],
    ...[
      'X-Request-ID',
      'a',
      'X-Envoy-Original-Path',
      'a',
      'TE',
      'a',
      'Trailer',
      'a',
      'Upgrade',
      'h2c',
      'HTTP2-Settings',
      'a',
      'Expect',
      'a',
    ],
    ...['X-Desk-Role', 'a', 'x.desk_role', 'a'],
    ...['X-Cost-Center', 'a', 'x_cost_center', 'a', 'X.Cost-Center', 'a', 'X~COST!CENTER', 'a'],
    ...['Keep-Alive', 'a', 'Proxy-Connection', 'a', 'Proxy-Authorization', 'a', 'Connection', 'a'],
  ]
  assert.deepEqual(sent(claimed), own)
})

test('the length of a body is what it is, whatever Connection says', () => {
  assert.deepEqual(sent(['Connection', 'content-length, x-signet-username, host, x-a', 'Content-Length', '5', 'X-A', 'b']), [
    ...own,
    ['content-length', '5'],
  ])
  assert.deepEqual(sent(['Connection', 'transfer-encoding', 'Transfer-Encoding', 'chunked']), [...own, ['transfer-encoding', 'chunked']])
})

test('the application gets its own cookies and not ours', () => {
  const name = cookieName(application)
  const cookies = `a=b; ${name}=1; ${name}.1=2; signet_outpost_try_0123=3; ${name}_hint=4;c=d; x${name}=5`
  assert.deepEqual(
    sent(['Cookie', cookies]).filter(([header]) => header === 'cookie'),
    [['cookie', `a=b;c=d; x${name}=5`]],
  )
  assert.deepEqual(
    sent(['cookie', ` ${name} =1`]).filter(([header]) => header === 'cookie'),
    [],
  )
})

test('what the outpost signs in with takes the place of what the browser sent', () => {
  assert.deepEqual(sent(['Authorization', 'Basic a']).at(1), ['authorization', 'Basic a'])
  assert.deepEqual(
    sent(['Authorization', 'Basic a', 'authorization', 'Basic b'], 'Basic c').filter(([header]) => header === 'authorization'),
    [['authorization', 'Basic c']],
  )
})

test('an answer keeps all but what is of its connection', () => {
  assert.deepEqual(
    pairs(
      responseHeaders(
        message([
          ...[
            'Connection',
            'close, X-Own, Content-Length',
            'X-Own',
            'a',
            'Keep-Alive',
            'a',
            'Transfer-Encoding',
            'chunked',
            'Trailer',
            'a',
          ],
          ...['Upgrade', 'h2', 'Proxy-Authenticate', 'a', 'Content-Length', '3', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'Location', '/x'],
        ]),
      ),
    ),
    [
      ['content-length', '3'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
      ['location', '/x'],
    ],
  )
})
