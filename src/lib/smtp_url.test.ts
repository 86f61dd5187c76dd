import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSmtpUrl } from './smtp_url.ts'

const rows: [url: string, expected: Partial<ReturnType<typeof parseSmtpUrl>>][] = [
  ['smtps://mail.example.com', { host: 'mail.example.com', port: 465, implicitTls: true, verified: true }],
  ['smtp://mail.example.com', { host: 'mail.example.com', port: 587, implicitTls: false, verified: true }],
  ['smtp://mail.example.com:25?tls=optional', { port: 25, implicitTls: false, verified: false }],
  ['smtp://127.0.0.1:2525', { host: '127.0.0.1', port: 2525, verified: false }],
  ['smtp://[::1]', { host: '::1', verified: false }],
  ['smtp://localhost:25', { verified: false }],
  ['smtp://127.0.0.1.example.com', { verified: true }],
  ['smtp://localhost.example.com', { verified: true }],
  ['smtp://b%C3%BCcher.example', { host: 'xn--bcher-kva.example' }],
]
for (const [url, expected] of rows)
  test(`${url} is read`, () => {
    const { login, ...server } = parseSmtpUrl(url) ?? {}
    assert.deepEqual({ ...server, ...expected }, server)
    assert.equal(login, undefined)
  })

test('user and password are decoded, and the password is a secret', () => {
  const { login } = parseSmtpUrl('smtps://ann%40example.com:p%2Fw%3A@mail') ?? {}
  assert.deepEqual([login?.user, login?.password.reveal()], ['ann@example.com', 'p/w:'])
  assert.doesNotMatch(JSON.stringify(login), /p\/w/)
})
