/** `npm run bench` as a program, for moments: whether it measures and what it prints, not how fast anything is. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type FreshDatabase, freshDatabase } from './support/database.ts'
import { startIssuer, type TestIssuer } from './support/issuer.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

let empty: FreshDatabase
let foreign: TestIssuer
before(async () => {
  empty = await freshDatabase()
  foreign = await startIssuer()
  await foreign.apply(`
apiVersion: signet.dev/v1alpha1
kind: AuthClient
metadata: { name: foreign, namespace: default }
spec:
  displayName: Foreign
  authServerRef: { name: default }
  clientType: confidential
  redirectUris: ['http://127.0.0.1:9/callback']
  scopes: [openid]
`)
})
after(async () => {
  await foreign.close()
  await empty.drop()
})

const bench = async (...args: string[]) => {
  const short = ['--rounds', '1', '--seconds', '0.2', '--database-url', empty.url]
  const child = spawn(process.execPath, ['bin/signet-bench', ...args, ...short], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code, stdout, stderr, lines: stdout.split('\n').filter(Boolean) }
}

const assertFigures = (line: string | undefined, name: string) => {
  const figures = JSON.parse(line ?? '') as Record<string, unknown>
  assert.deepEqual(Object.keys(figures), ['name', 'rps', 'limit_rps', 'ratio', 'p50_ms', 'p99_ms'])
  assert.equal(figures.name, name)
  for (const key of ['rps', 'limit_rps', 'ratio', 'p50_ms', 'p99_ms']) assert.ok(Number(figures[key]) > 0, `${key}: ${line}`)
}

test('--json prints one object a line, in the order of the list', async () => {
  const { code, stderr, lines } = await bench('--json', 'sign_in_page', 'refresh_token', 'client_credentials')
  assert.equal(code, 0, stderr)
  assert.equal(lines.length, 3)
  assertFigures(lines[0], 'client_credentials')
  assertFigures(lines[1], 'refresh_token')
  const page = JSON.parse(lines[2] ?? '') as Record<string, unknown>
  assert.equal(page.name, 'sign_in_page')
  assert.ok(Number(page.bytes) > 0)
})

test('--issuer measures another provider, and leaves out what it has nothing for', async () => {
  const { client_id, client_secret } = await foreign.credentials('foreign')
  const { code, stderr, lines } = await bench(
    ...['--json', '--issuer', foreign.issuer, '--client-id', client_id, '--client-secret', client_secret],
    ...['client_credentials', 'introspection', 'userinfo', 'start'],
  )
  assert.equal(code, 0, stderr)
  assert.equal(lines.length, 2)
  assertFigures(lines[0], 'client_credentials')
  assertFigures(lines[1], 'introspection')
  assert.match(stderr, /^userinfo: left out, .*\nstart: left out, .*\n$/)
})

test('a provider that refuses is no figure, and the exit code says so', async () => {
  const { code, stderr, lines } = await bench(
    ...['--json', '--issuer', foreign.issuer, '--client-id', 'nobody', '--client-secret', 'wrong', 'client_credentials'],
  )
  assert.equal(code, 1)
  assert.deepEqual(lines, [])
  assert.match(stderr, /^client_credentials: .* 401/)
})
