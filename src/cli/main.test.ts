import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commands } from './main.ts'

const signet = (...args: string[]) => {
  const { SIGNET_PORT: _, ...env } = process.env
  return spawnSync(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url)), ...args], { encoding: 'utf8', env })
}

describe('signet', () => {
  test('without a command, and with help, shows every command', () => {
    for (const args of [[], ['help'], ['--help']]) {
      const { status, stdout } = signet(...args)
      assert.equal(status, 0)
      for (const [name, { summary }] of Object.entries(commands)) assert.match(stdout, new RegExp(`^ {2}${name} +${summary}$`, 'm'))
    }
  })

  test('refuses an unknown command with exit code 2, and suggests one', () => {
    const { status, stderr } = signet('sever')
    assert.equal(status, 2)
    assert.match(stderr, /no command sever\. Did you mean server\?/)
    assert.doesNotMatch(signet('constructor').stderr, /\bat\b .*:\d+/)
  })

  test('refuses an unknown flag by name, with exit code 2', () => {
    const { status, stderr } = signet('migrate', '--colour', 'blue')
    assert.equal(status, 2)
    assert.match(stderr, /--colour/)
  })

  test('names every wrong setting, from environment and flags, and shows no value', () => {
    const { status, stderr } = signet('server', '--port', 'notaport', '--base-url', 'ftp://nowhere')
    assert.equal(status, 1)
    assert.match(stderr, /--port: /)
    assert.match(stderr, /--base-url: /)
    assert.doesNotMatch(stderr, /notaport|nowhere/)
  })

  for (const [name, folders] of [
    ['up', ['manifests', 'certs-dir', 'templates-dir', 'breached-passwords-dir']],
    ['server', ['manifests', 'certs-dir', 'templates-dir', 'breached-passwords-dir']],
    ['worker', ['templates-dir']],
    ['outpost', ['certs-dir', 'templates-dir']],
    ['migrate', []],
  ] as const)
    test(`${name} names ${folders.length === 0 ? 'no folder' : `${folders.join(', ')} when they are not there`}, and nothing else that it does not read`, () => {
      const given = ['manifests', 'certs-dir', 'templates-dir', 'breached-passwords-dir'].flatMap((flag) => [`--${flag}`, '/nonexistent/x'])
      const { status, stderr } = signet(name, '--port', 'notaport', ...given)
      assert.equal(status, 1)
      const named = [...stderr.matchAll(/^ {2}--([a-z-]+): /gm)].map((match) => match[1])
      assert.deepEqual(named.sort(), ['port', ...folders].sort())
    })

  for (const name of Object.keys(commands))
    test(`${name} --help says how it is used`, () => {
      const { status, stdout, stderr } = signet(name, '--help')
      assert.equal(status, 0, stderr)
      assert.match(stdout, new RegExp(`Usage: signet ${name}`))
    })
})
