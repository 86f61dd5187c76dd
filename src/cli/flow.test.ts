/** `signet flow`, as a process of its own against a server. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Api, openApi } from '../../test/support/api.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

let api: Api
let server: string
before(async () => {
  api = await openApi()
  server = await api.listen()
  const { body } = await api.call<{ id: string }>('POST', '/api/v1/users', { username: 'ann' })
  await api.call('POST', `/api/v1/users/${body.id}/password`, { password: 'quiet harbour lantern' })
  await api.call('POST', '/api/v1/users', { username: 'new' })
  await api.call('POST', '/api/v1/namespaces/default/flows', {
    metadata: { name: 'staff' },
    spec: {
      designation: 'authentication',
      stages: [
        { stage: 'identification', passkey: false },
        { stage: 'password' },
        { stage: 'authenticator_validate', when: "user.attributes.badge == 'x'" },
        { stage: 'user_login' },
      ],
    },
  })
  await api.snapshot.refresh()
})
after(() => api.close())

const signet = (args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    const env = { PATH: process.env.PATH ?? '', SIGNET_SERVER: server, SIGNET_TOKEN: api.full }
    const child = spawn(process.execPath, [main, ...args], { cwd: tmpdir(), env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (part) => (stdout += part))
    child.stderr.on('data', (part) => (stderr += part))
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })

describe('signet flow try', () => {
  it('prints each stage and how it ends', async () => {
    const { code, stdout, stderr } = await signet(['flow', 'try', 'authentication', '--as', 'ann'])
    assert.equal(code, 0, stderr)
    assert.equal(
      stdout,
      `   STAGE                   TURN   WHAT
1  identification          comes  asks for username or passkey
2  password                comes  asks for password
3  authenticator_validate  comes  asks for nothing
4  password_change         comes  asks for nothing
5  user_login              comes  asks for nothing

ann is signed in: acr 1fa, amr pwd
`,
    )
  })

  it('takes what is known beforehand, and exits 1 when it is not enough', async () => {
    const { code, stdout } = await signet([
      'flow',
      'try',
      'authentication',
      '--as',
      'ann',
      '--amr',
      'swk',
      '--acr',
      'phr',
      '--network',
      '192.0.2.1',
    ])
    assert.equal(code, 1, stdout)
    assert.match(stdout, /\n2 {2}password +left out +unless !\('swk' in facts\.amr \|\| 'hwk' in facts\.amr\)\n/)
    assert.match(stdout, /\n\nann is signed in, but falls short of phr: acr 1fa, amr swk\n$/)
  })

  it('says where a person is stuck, and exits 1', async () => {
    const { code, stdout } = await signet(['flow', 'try', 'authentication', '--as', 'new'])
    assert.equal(code, 1)
    assert.match(stdout, /\n2 {2}password +comes +asks for password: stuck \(no_password\)\n/)
    assert.match(stdout, /\n3 {2}authenticator_validate +not reached\n/)
    assert.match(stdout, /\n\nnew is stuck: no_password\n$/)
  })

  it('names the condition that fails, and exits 1', async () => {
    const { code, stdout } = await signet(['flow', 'try', 'staff', '--as', 'ann'])
    assert.equal(code, 1)
    assert.match(stdout, /\n3 {2}authenticator_validate +broken +when user\.attributes\.badge == 'x'\n/)
    assert.match(stdout, /\n\nann is refused: Flow default\/staff spec\.stages\[2\]\.when fails: .*badge.*\n$/)
  })

  it('prints JSON', async () => {
    const { code, stdout } = await signet(['flow', 'try', 'authentication', '--as', 'ann', '--json'])
    assert.equal(code, 0)
    const { flow, end, stages } = JSON.parse(stdout)
    assert.deepEqual([flow, end.kind, stages.length], [{ namespace: 'default', name: 'authentication' }, 'signed_in', 5])
  })

  it('says what is missing, unknown or not understood', async () => {
    for (const [args, expected, told] of [
      [['try', 'none', '--as', 'ann'], 1, /\(404\)/],
      [['try', 'authentication', '--as', 'nobody'], 1, /\/user: is not there/],
      [['try', 'authentication', '--as', 'ann', '--network', 'here'], 1, /\/network: wants an IP address/],
      [['try', 'authentication', '--as', 'ann', '--token', 'none of ours'], 1, /\(401\)/],
      [['try', 'authentication'], 2, /--as/],
      [['try'], 2, /NAME/],
      [['fly', 'authentication', '--as', 'ann'], 2, /try NAME/],
      [['try', 'authentication', '--as', 'ann', '--colour', 'red'], 2, /colour/],
    ] as const) {
      const { code, stdout, stderr } = await signet(['flow', ...args])
      assert.deepEqual([code, stdout], [expected, ''], args.join(' '))
      assert.match(stderr, told)
    }
  })

  it('says how it is used', async () => {
    const { code, stdout } = await signet(['flow', '--help'])
    assert.equal(code, 0)
    assert.match(stdout, /Usage: signet flow try NAME --as USER/)
  })
})
