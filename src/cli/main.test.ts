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

  for (const name of Object.keys(commands))
    test(`${name} --help says how it is used`, () => {
      const { status, stdout, stderr } = signet(name, '--help')
      assert.equal(status, 0, stderr)
      assert.match(stdout, new RegExp(`Usage: signet ${name}`))
    })
})
