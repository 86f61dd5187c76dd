import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Application } from './application.ts'
import { headerNameProblem } from './header_name.ts'

for (const name of ['X-Department', 'x_department', 'WEBAUTH-USER', 'X-Remote-User', 'Department', 'X-Signets', 'X-Auth.Level'])
  test(`${name} may be stated`, () => assert.equal(headerNameProblem(name), undefined))

for (const name of ['', ' ', 'X Department', 'X-Department:', 'X-\u00c4', 'X-A\r\nX-B', '-X', '_x', '1x', '(x)', 'X-A,X-B', 'X-A\0'])
  test(`${JSON.stringify(name)} is no name of a header`, () => assert.match(headerNameProblem(name) ?? '', /name of a header/))

for (const name of [
  ...[
    'Host',
    'Cookie',
    'Set-Cookie',
    'Authorization',
    'Proxy-Authorization',
    'WWW-Authenticate',
    'Content-Length',
    'Content-Type',
    'content_length',
  ],
  ...['Connection', 'Keep-Alive', 'TE', 'Trailer', 'Transfer-Encoding', 'transfer.encoding', 'Upgrade', 'Expect', 'HTTP2-Settings'],
  ...['Forwarded', 'X-Forwarded-For', 'x_forwarded_user', 'X-Real-IP', 'X-Original-URL', 'Via', 'X-Request-Id', 'Proxy', 'SSL-Client-Cert'],
  ...['X-Signet-Username', 'x_signet_role', 'X-Signet', 'Remote-User', 'Remote_Groups', 'Remote-Anything', 'REMOTE~USER'],
  ...[
    'Origin',
    'Referer',
    'Accept',
    'Sec-Fetch-Mode',
    'If-Match',
    'Cache-Control',
    'Location',
    'X-Accel-Redirect',
    'X-HTTP-Method-Override',
  ],
])
  test(`${name} has a meaning already`, () => assert.match(headerNameProblem(name) ?? '', /meaning/))

const parse = (claims: unknown) =>
  Application.spec.safeParse({
    displayName: 'Wiki',
    authServerRef: { name: 'default' },
    proxy: { mode: 'forward_single', externalUrl: 'https://wiki.example.com', headers: { claims } },
  })

test('headers filled from claims are stated once each, however they are written, and so many', () => {
  const parsed = parse([
    { header: 'X-Department', claim: 'department' },
    { header: 'X-Team', claim: 'department' },
  ])
  assert.equal(parsed.success, true, JSON.stringify(parsed.error?.issues))
  assert.deepEqual(parse(undefined).data?.proxy?.headers.claims, [])
  for (const other of ['X-Department', 'x-department', 'X_Department', 'X.DEPARTMENT'])
    assert.deepEqual(
      parse([
        { header: 'X-Department', claim: 'a' },
        { header: other, claim: 'b' },
      ]).error?.issues.map(({ path, message }) => [path.join('.'), message]),
      [['proxy.headers.claims.1.header', 'reads the same as another one']],
      other,
    )
  const many = (count: number) => parse(Array.from({ length: count }, (_, index) => ({ header: `X-A${index}`, claim: 'a' }))).success
  assert.deepEqual([many(20), many(21)], [true, false])
  for (const wrong of [
    [{ header: 'Cookie', claim: 'a' }],
    [{ header: 'X-A' }],
    [{ header: 'X-A', claim: '' }],
    [{ header: 1, claim: 'a' }],
    ['X-A'],
    [null],
  ])
    assert.equal(parse(wrong).success, false, JSON.stringify(wrong))
})
