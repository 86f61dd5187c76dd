/** The launcher, in a small project of its own: what `npm start` does before our program runs. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findProgram } from './support/needs.ts'

const bin = fileURLToPath(new URL('../bin', import.meta.url))

const hashesPasswords = `
  import { argon2 } from 'node:crypto'
  import { promisify } from 'node:util'
  const hash = () => promisify(argon2)('argon2id', { message: 'x', nonce: Buffer.alloc(16), parallelism: 1, tagLength: 32, memory: 19_456, passes: 2 })
  const faults = () => process.resourceUsage().minorPageFault
  export const main = async (): Promise<number> => {
    for (let warm = 0; warm < 3; warm++) await Promise.all([hash(), hash()])
    const before = faults()
    for (let round = 0; round < 10; round++) await Promise.all([hash(), hash()])
    const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header
    console.log(JSON.stringify({ tunables: process.env.GLIBC_TUNABLES, faults: (faults() - before) / 20, glibc: glibcVersionRuntime !== undefined }))
    return 0
  }`

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'signet-launch-'))
  cpSync(bin, join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{ "name": "signet", "version": "0.0.0", "type": "module" }')
  lock('0.0.0')
  mkdirSync(join(root, 'src/cli'), { recursive: true })
  writeFileSync(
    join(root, 'src/cli/main.ts'),
    `export const main = async (args: string[]): Promise<number> => {
       console.log('ran', process.version, JSON.stringify(args))
       return Number(args[0] ?? 0)
     }`,
  )
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const lock = (version: string, packages: Record<string, object> = {}) =>
  writeFileSync(
    join(root, 'package-lock.json'),
    JSON.stringify({
      name: 'signet',
      version,
      lockfileVersion: 3,
      requires: true,
      packages: { '': { name: 'signet', version }, ...packages },
    }),
  )

/** npm runs us with its own variables; a test that npm runs must not hand them on. */
const environment = (extra: Record<string, string> = {}) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_COMPILE_CACHE$|^NODE_TEST/i.test(name))),
  ...extra,
})

const launch = (args: string[], env: Record<string, string> = {}, command: string[] = [process.execPath]) => {
  const [program = '', ...first] = command
  return spawnSync(program, [...first, 'bin/signet', ...args], { cwd: root, encoding: 'utf8', env: environment(env) })
}

/** Has the project want a package with a script that writes `x` into the file log when it is set up, and then does this. */
const withSetUp = (andThen: string): void => {
  const local = join(root, 'local')
  mkdirSync(local)
  const install = `node -e "require('fs').appendFileSync('${join(root, 'log')}', 'x'); ${andThen}"`
  writeFileSync(join(local, 'package.json'), JSON.stringify({ name: 'local', version: '1.0.0', scripts: { install } }))
  const packed = spawnSync('npm', ['pack', '--silent'], { cwd: local, encoding: 'utf8', env: environment() })
  assert.equal(packed.status, 0, packed.stderr)
  const dependencies = { local: `file:local/${packed.stdout.trim()}` }
  writeFileSync(join(root, 'package.json'), JSON.stringify({ name: 'signet', version: '0.0.0', type: 'module', dependencies }))
  const locked = spawnSync('npm', ['install', '--package-lock-only', '--silent'], { cwd: root, encoding: 'utf8', env: environment() })
  assert.equal(locked.status, 0, locked.stderr)
}

const hasNpm = findProgram('npm') !== undefined

describe('bin/signet', { skip: hasNpm ? false : 'needs: apt-get install npm' }, () => {
  test('installs packages the first time, says so, and not again', () => {
    const first = launch(['0', 'a b'])
    assert.equal(first.status, 0, first.stderr)
    assert.match(first.stderr, /installing packages/)
    assert.match(first.stdout, /ran v\d+.* \["0","a b"\]/)
    const second = launch(['0'])
    assert.equal(second.stderr, '')
    assert.equal(second.status, 0)
  })

  test('installs again when the lock file changed, and leaves an installation by hand alone', () => {
    launch(['0'])
    lock('0.0.1')
    assert.match(launch(['0']).stderr, /Packages are missing or changed/)
    lock('0.0.2')
    mkdirSync(join(root, 'node_modules'), { recursive: true })
    writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: {} }))
    assert.equal(launch(['0']).stderr, '')
    lock('0.0.3', { 'node_modules/missing': { version: '1.0.0' } })
    assert.match(
      launch(['0'], { npm_config_registry: 'http://127.0.0.1:9', npm_config_fetch_retries: '0' }).stderr,
      /Packages are missing or changed/,
    )
  })

  test('says in one line why it stops when npm fails', () => {
    writeFileSync(join(root, 'package.json'), '{ "name": "signet", "version": "0.0.0", "dependencies": { "missing": "1.0.0" } }')
    const { status, stderr } = launch(['0'], { npm_config_registry: 'http://127.0.0.1:9', npm_config_fetch_retries: '0' })
    assert.equal(status, 1)
    assert.match(stderr, /npm ci failed/)
    assert.doesNotMatch(stderr, /launch\.js:\d/)
  })

  test('installs again what a killed start left, although it looks complete', () => {
    mkdirSync(join(root, 'node_modules'), { recursive: true })
    writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: {} }))
    writeFileSync(join(root, '.signet-installing'), '')
    utimesSync(join(root, '.signet-installing'), 0, 0)
    const { status, stderr } = launch(['0'])
    assert.equal(status, 0, stderr)
    assert.match(stderr, /Installing them/)
    assert.equal(existsSync(join(root, '.signet-installing')), false)
  })

  test('of two first starts one installs, and the other waits for it', async () => {
    withSetUp('setTimeout(() => {}, 1500)')
    const starts = [0, 1].map(() => {
      const child = spawn(process.execPath, ['bin/signet', '0'], { cwd: root, env: environment() })
      let stderr = ''
      child.stderr.on('data', (part) => (stderr += part))
      return once(child, 'close').then(([code]) => ({ code, stderr }))
    })
    const [one, two] = await Promise.all(starts)
    assert.deepEqual([one?.code, two?.code], [0, 0], `${one?.stderr}${two?.stderr}`)
    assert.match(`${one?.stderr}${two?.stderr}`, /Another start installs packages/)
    assert.equal(readFileSync(join(root, 'log'), 'utf8'), 'x')
  })

  test('an upgrade replaces the packages that it runs on, its own Node among them', () => {
    // As `npm start` after a pull: the Node of node_modules comes first, and npm says which program it is.
    mkdirSync(join(root, 'node_modules/.bin'), { recursive: true })
    mkdirSync(join(root, 'node_modules/node/bin'), { recursive: true })
    copyFileSync(process.execPath, join(root, 'node_modules/node/bin/node'), constants.COPYFILE_FICLONE)
    symlinkSync('../node/bin/node', join(root, 'node_modules/.bin/node'))
    withSetUp('')
    const { status, stderr } = launch(['0'], { npm_execpath: realpathSync(findProgram('npm') ?? '') }, ['sh'])
    assert.equal(status, 0, stderr)
    assert.match(stderr, /Packages are missing or changed/)
    assert.equal(readFileSync(join(root, 'log'), 'utf8'), 'x')
  })

  test('needs no home folder that can be written to', () => {
    const { status, stderr } = launch(['0'], { HOME: '/proc/nowhere' })
    assert.equal(status, 0, stderr)
  })

  test('keeps the exit code', () => {
    assert.equal(launch(['3']).status, 3)
  })

  test('as a shell program passes by a Node of npm that does not start', () => {
    launch(['0'])
    mkdirSync(join(root, 'node_modules/.bin'), { recursive: true })
    const broken = join(root, 'node_modules/.bin/node')
    writeFileSync(broken, '#!/bin/sh\necho "libatomic.so.1: cannot open shared object file" >&2\nexit 127\n')
    chmodSync(broken, 0o755)
    const env = { npm_node_execpath: process.execPath, PATH: `${join(root, 'node_modules/.bin')}:/usr/bin:/bin` }
    const { status, stdout, stderr } = launch(['5'], env, ['sh'])
    assert.equal(status, 5, stderr)
    assert.match(stdout, /^ran /)
  })

  test('as a shell program has malloc keep what password hashes take, but for an operator who says otherwise', () => {
    writeFileSync(join(root, 'src/cli/main.ts'), hashesPasswords)
    const run = (tunables: string) => {
      const { status, stdout, stderr } = launch([], { npm_node_execpath: process.execPath, GLIBC_TUNABLES: tunables }, ['sh'])
      assert.equal(status, 0, stderr)
      return JSON.parse(stdout) as { tunables: string; faults: number; glibc: boolean }
    }
    const { tunables, faults, glibc } = run('glibc.rtld.nns=4')
    assert.match(tunables, /^glibc\.malloc\..*:glibc\.rtld\.nns=4$/)
    if (glibc) assert.ok(faults < 100, `${faults} pages of the 4864 of each hash were new`)
    assert.equal(run('glibc.malloc.perturb=0').tunables, 'glibc.malloc.perturb=0')
  })
})
