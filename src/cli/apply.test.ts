/** The commands that speak REST, as processes of their own against a server. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { takeLock } from '#/lib/process_lock.ts'
import { type Api, openApi } from '../../test/support/api.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

let api: Api
let server: string
let folder: string
before(async () => {
  api = await openApi()
  server = await api.listen()
  folder = mkdtempSync(join(tmpdir(), 'signet-cli-'))
})
after(async () => {
  rmSync(folder, { recursive: true })
  await api.close()
})

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

const signet = (args: string[], { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? '', SIGNET_SERVER: server, SIGNET_TOKEN: api.full, ...env },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (part) => (stdout += part))
    child.stderr.on('data', (part) => (stderr += part))
    child.on('close', (code) => resolve({ code, stdout, stderr }))
    child.stdin.end(input)
  })

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return name
}

const role = (name: string, description: string) => `apiVersion: signet.dev/v1alpha1
kind: Role
metadata:
  name: ${name}
  labels: {app: cli}
spec:
  description: ${description}
  rules:
    - kinds: [users]
      verbs: [get]
`

describe('signet apply', () => {
  it('prints a line a document, and again that nothing changed', async () => {
    const path = file('roles.yaml', `${role('one', 'First.')}---\n${role('two', 'Second.')}`)
    const dry = await signet(['apply', '-f', path, '--dry-run'])
    assert.deepEqual([dry.code, dry.stdout], [0, 'Role default/one created (dry run)\nRole default/two created (dry run)\n'], dry.stderr)
    const first = await signet(['apply', '-f', path])
    assert.deepEqual([first.code, first.stdout], [0, 'Role default/one created\nRole default/two created\n'], first.stderr)
    const again = await signet(['apply', '-f', '-'], { input: `${role('one', 'First.')}---\n${role('two', 'Changed.')}` })
    assert.deepEqual([again.code, again.stdout], [0, 'Role default/one unchanged\nRole default/two configured\n'])
  })

  it('names every bad field with file and line, and exits 1', async () => {
    const path = file(
      'bad.yaml',
      `${role('three', 'Fine.')}---\n${role('four', 'Bad.').replace('[get]', '[fly]').replace('description', 'colour')}`,
    )
    const { code, stdout } = await signet(['apply', '-f', path])
    assert.equal(code, 1)
    assert.match(stdout, /^Role default\/three created\nRole default\/four refused\n/)
    assert.match(stdout, / {2}bad\.yaml:21: spec\.rules\[0\]\.verbs\[0\]: /)
    assert.match(stdout, / {2}bad\.yaml:18: spec\.colour: there is no such field/)
  })

  it('names the line of what is no YAML, and sends nothing', async () => {
    const path = file('broken.yaml', 'apiVersion: signet.dev/v1alpha1\nkind: [Role\nspec: {}\n')
    const { code, stderr } = await signet(['apply', '-f', path])
    assert.equal(code, 1)
    assert.match(stderr, /^broken\.yaml:\d+: /)
  })

  it('takes a folder, a List, and prunes', async () => {
    mkdirSync(join(folder, 'manifests'))
    file('manifests/a.yaml', role('one', 'First.'))
    const item = {
      apiVersion: 'signet.dev/v1alpha1',
      kind: 'Role',
      metadata: { name: 'listed', labels: { app: 'cli' } },
      spec: { rules: [] },
    }
    file('manifests/b.json', JSON.stringify({ kind: 'List', apiVersion: 'v1', items: [item] }))
    file('manifests/readme.txt', 'not a manifest')
    const { code, stdout, stderr } = await signet(['apply', '-f', 'manifests', '--prune', 'app=cli'])
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /Role default\/one unchanged\nRole default\/listed created\n/)
    assert.match(stdout, /Role default\/three deleted/)
    assert.match(stdout, /Role default\/two deleted/)
  })

  it('says what is missing', async () => {
    assert.match((await signet(['get', 'roles'], { env: { SIGNET_TOKEN: 'a token that nobody knows' } })).stderr, /unknown.*\(401\)/)
    assert.match((await signet(['get', 'roles'], { env: { SIGNET_SERVER: '', SIGNET_TOKEN: '' } })).stderr, /no server runs/)
    assert.match(
      (await signet(['get', 'roles'], { env: { SIGNET_SERVER: 'https://elsewhere.example', SIGNET_TOKEN: '' } })).stderr,
      /owner's token is not sent to https:\/\/elsewhere\.example/,
    )
  })
})

describe('the token of DATA_DIR', () => {
  /** A program of someone else, who writes down what it is told. */
  const listen = async (host: string) => {
    const heard: (string | undefined)[] = []
    const listener = createServer((request, response) => {
      heard.push(request.headers.authorization)
      response.setHeader('content-type', 'application/json').end('{"items": [], "next": null}')
    })
    await once(listener.listen(0, host).unref(), 'listening')
    return { heard, port: (listener.address() as AddressInfo).port, close: () => listener.close() }
  }
  const getRoles = (flags: string[], env: Record<string, string> = {}) =>
    signet(['get', 'roles', ...flags], { env: { SIGNET_SERVER: '', SIGNET_TOKEN: '', ...env } })

  it('goes to the up that runs on the folder, and to no other program of the machine', async () => {
    const other = await listen('127.0.0.1')
    const own = await listen('127.0.0.1')
    mkdirSync(join(folder, 'data'))
    file('data/token', 'the token of the owner\n')
    const state = { pid: 1, server: `http://localhost:${own.port}`, connect: '127.0.0.1', databaseUrl: '', embedded: true }
    // What an up leaves that was killed.
    file('data/up.json', JSON.stringify({ ...state, server: `http://localhost:${other.port}` }))
    for (const [host, env] of [
      ['localhost', { SIGNET_BASE_URL: `http://localhost:${other.port}` }],
      ['127.0.0.1', {}],
    ] as const) {
      const { code, stderr } = await getRoles(['--data-dir', 'data', '--server', `http://${host}:${other.port}`], env)
      assert.equal(code, 1)
      assert.match(stderr, /owner's token is not sent/)
    }
    const lock = await takeLock(join(folder, 'data'), 'a test')
    assert.ok(lock.state === 'held')
    file('data/up.json', JSON.stringify(state))
    assert.equal((await getRoles(['--data-dir', 'data', '--server', `http://localhost:${other.port}`])).code, 1)
    assert.deepEqual(other.heard, [])
    const answered = await getRoles(['--data-dir', 'data'])
    assert.equal(answered.code, 0, answered.stderr)
    assert.deepEqual(own.heard, ['Bearer the token of the owner'])
    await lock.release()
    other.close()
    own.close()
  })

  it('goes to the address that the up listens on, whatever the name stands for', { skip: process.platform !== 'linux' }, async () => {
    const own = await listen('127.0.0.3')
    mkdirSync(join(folder, 'named'))
    file('named/token', 'the token of the owner\n')
    const state = { pid: 1, server: `http://sign-in.localhost:${own.port}`, connect: '127.0.0.3', databaseUrl: '', embedded: true }
    file('named/up.json', JSON.stringify(state))
    const lock = await takeLock(join(folder, 'named'), 'a test')
    assert.ok(lock.state === 'held')
    const { code, stderr } = await getRoles(['--data-dir', 'named'])
    assert.equal(code, 0, stderr)
    assert.deepEqual(own.heard, ['Bearer the token of the owner'])
    await lock.release()
    own.close()
  })
})

describe('signet diff', () => {
  it('prints a unified diff and exits 1, and nothing and 0 when there is no difference', async () => {
    const same = await signet(['diff', '-f', 'manifests'])
    assert.deepEqual([same.code, same.stdout], [0, ''], same.stderr)
    const path = file('changed.yaml', `${role('one', 'Another.')}---\n${role('five', 'New.')}`)
    const { code, stdout, stderr } = await signet(['diff', '-f', path])
    assert.equal(code, 1, stderr)
    assert.match(stdout, /^--- live\/Role\/default\/one\n\+\+\+ applied\/Role\/default\/one\n/)
    assert.match(stdout, /\n- {2}description: First\.\n\+ {2}description: Another\.\n/)
    assert.match(stdout, /\n--- \/dev\/null\n\+\+\+ applied\/Role\/default\/five\n@@ -0,0 /)
    assert.match((await signet(['get', 'role', 'one', '-o', 'yaml'])).stdout, /description: First\./)
  })
})

describe('signet get', () => {
  it('prints a table, YAML and JSON', async () => {
    const table = await signet(['get', 'rl'])
    assert.equal(table.code, 0, table.stderr)
    assert.match(table.stdout, /^NAMESPACE +NAME +READY +REASON +CREATED\n/)
    assert.match(table.stdout, /\ndefault +one +True /)
    const json = JSON.parse((await signet(['get', 'Role', 'one', '-o', 'json'])).stdout)
    assert.equal(json.metadata.name, 'one')
    const listed = JSON.parse((await signet(['get', 'roles', '-A', '-l', 'app=cli', '-o', 'json'])).stdout)
    assert.equal(listed.items.length, 2)
    assert.equal((await signet(['get', 'unicorns'])).code, 2)
  })
})

describe('signet export', () => {
  it('prints manifests that apply takes unchanged', async () => {
    const { code, stdout } = await signet(['export'])
    assert.equal(code, 0)
    const { stdout: applied } = await signet(['apply', '-f', '-'], { input: stdout })
    assert.equal(applied, 'Role default/listed unchanged\nRole default/one unchanged\n')
  })
})

describe('signet delete', () => {
  it('deletes by name and by manifest, and exits 1 when nothing was there', async () => {
    const byName = await signet(['delete', 'role', 'listed'])
    assert.deepEqual([byName.code, byName.stdout], [0, 'Role default/listed deleted\n'], byName.stderr)
    const byFile = await signet(['delete', '-f', 'manifests/a.yaml'])
    assert.deepEqual([byFile.code, byFile.stdout], [0, 'Role default/one deleted\n'], byFile.stderr)
    const again = await signet(['delete', '-f', 'manifests/a.yaml'])
    assert.deepEqual([again.code, again.stdout], [1, 'Role default/one is not there\n'])
  })
})

describe('signet token', () => {
  it('makes one that works, lists it without its secret, and deletes it', async () => {
    const made = await signet(['token', 'create', 'ci', '--kinds', 'roles', '--verbs', 'list', '--expires-in', '1h'])
    assert.equal(made.code, 0, made.stderr)
    const token = made.stdout.trim()
    assert.equal((await signet(['get', 'roles', '--token', token])).code, 0)
    const list = await signet(['token', 'list'])
    assert.ok(!list.stdout.includes(token))
    const id = /^(\S+) +ci /m.exec(list.stdout)?.[1] ?? ''
    assert.equal((await signet(['token', 'delete', id])).code, 0)
    assert.equal((await signet(['get', 'roles', '--token', token])).code, 1)
  })
})
