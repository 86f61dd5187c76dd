import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { type FolderSetting, networkMatcher, readSettings, SettingsError, settingsTable } from './config.ts'
import { Secret } from './secret.ts'

const mistakesOf = (env: Record<string, string>, flags: Record<string, string> = {}, folders: readonly FolderSetting[] = []): string[] => {
  try {
    readSettings(env, flags, folders)
  } catch (error) {
    if (error instanceof SettingsError) return error.mistakes
    throw error
  }
  return []
}

describe('settings', () => {
  test('have the defaults of the table', () => {
    const settings = readSettings({})
    assert.deepEqual(
      [settings.PORT, settings.HOST, settings.BASE_URL, settings.DATA_DIR, settings.METRICS_PORT, settings.RPC_PORT, settings.LOG_LEVEL],
      [9000, '0.0.0.0', 'http://localhost:9000', '.signet', 9300, 9443, 'info'],
    )
    assert.deepEqual(settings.TRUSTED_PROXIES, [])
    for (const name of ['DATABASE_URL', 'SECRET_KEY', 'TLS_PORT', 'OUTBOUND_ALLOW', 'MANIFESTS'] as const)
      assert.equal(settings[name], undefined)
  })

  test('DEMO_PORT is a port that can be told beforehand', () => {
    assert.equal(readSettings({}).DEMO_PORT, 9001)
    assert.equal(readSettings({}, { 'demo-port': '9002' }).DEMO_PORT, 9002)
    assert.deepEqual(mistakesOf({ SIGNET_DEMO_PORT: '0' }), ['SIGNET_DEMO_PORT: wants a port from 1 to 65535'])
  })

  test('BASE_URL follows PORT', () => {
    assert.equal(readSettings({ SIGNET_PORT: '8080' }).BASE_URL, 'http://localhost:8080')
  })

  test('come from the environment, then a file, and a flag wins', () => {
    const folder = mkdtempSync(join(tmpdir(), 'signet-config-'))
    try {
      writeFileSync(join(folder, 'password'), 'correct horse\n')
      const settings = readSettings({ SIGNET_BOOTSTRAP_PASSWORD_FILE: join(folder, 'password'), SIGNET_PORT: '1' }, { port: '2' })
      assert.equal(settings.BOOTSTRAP_PASSWORD?.reveal(), 'correct horse')
      assert.equal(settings.PORT, 2)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('an empty variable is as if it were not there', () => {
    assert.equal(readSettings({ SIGNET_PORT: '' }).PORT, 9000)
  })

  test('foreign variables are none of ours', () => {
    assert.deepEqual(mistakesOf({ PORT: 'x', SIGNETPORT: 'x' }), [])
  })

  test('every mistake is named at once, and no value', () => {
    const mistakes = mistakesOf(
      { SIGNET_PORT: 'xyzzy', SIGNET_SECRET_KEY: 'xyzzy', SIGNET_COLOUR: 'xyzzy', SIGNET_TOKEN_FILE: '/nonexistent/xyzzy' },
      { 'log-level': 'xyzzy', shape: 'xyzzy' },
    )
    for (const name of ['SIGNET_PORT', 'SIGNET_SECRET_KEY', 'SIGNET_COLOUR', 'SIGNET_TOKEN_FILE', '--log-level', '--shape'])
      assert.equal(mistakes.filter((mistake) => mistake.startsWith(`${name}: `)).length, 1, `${name} in ${mistakes.join('; ')}`)
    assert.equal(mistakes.length, 6)
    assert.doesNotMatch(mistakes.join('\n'), /xyzzy/)
  })

  test('a folder that a process reads is there, and its own mistake beside the others', () => {
    const folder = mkdtempSync(join(tmpdir(), 'signet-config-'))
    const [file, shut] = [join(folder, 'file'), mkdtempSync(join(folder, 'shut-'))]
    writeFileSync(file, '')
    const names = ['MANIFESTS', 'CERTS_DIR', 'TEMPLATES_DIR', 'BREACHED_PASSWORDS_DIR'] as const
    try {
      for (const name of names) {
        const of = (value: string, used: readonly FolderSetting[] = [name]) => mistakesOf({ [`SIGNET_${name}`]: value }, {}, used)
        assert.deepEqual(of(folder), [])
        assert.deepEqual(of(join(folder, 'xyzzy')), [
          `SIGNET_${name}: wants a folder, and there is none of that name: make it, or leave the setting out`,
        ])
        assert.deepEqual(of(file), [`SIGNET_${name}: wants a folder, and that is none: name the folder that holds the files`])
        assert.deepEqual(of(join(folder, 'xyzzy'), []), [], 'who does not read it does not ask for it')
        chmodSync(shut, 0o000)
        // The superuser may read everything.
        if (process.getuid?.() !== 0) assert.match(of(shut).join(), /: the folder can not be read \(EACCES\): let the user /)
        chmodSync(shut, 0o700)
      }
      const env = { SIGNET_PORT: 'x', SIGNET_CERTS_DIR: '/nonexistent/xyzzy' }
      const mistakes = mistakesOf(env, { manifests: '/nonexistent/xyzzy' }, names)
      assert.deepEqual(mistakes.map((mistake) => mistake.split(':')[0]).sort(), ['--manifests', 'SIGNET_CERTS_DIR', 'SIGNET_PORT'])
      assert.doesNotMatch(mistakes.join(), /xyzzy/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('a setting that is given as it is and by a file is a mistake, and an empty file name is none', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'signet-config-')), 'token')
    writeFileSync(file, 'xyzzy\n')
    for (const env of [
      { SIGNET_TOKEN: 'abc', SIGNET_TOKEN_FILE: file },
      { SIGNET_TOKEN_FILE: file, SIGNET_TOKEN: 'abc' },
    ])
      assert.match(mistakesOf(env).join('\n'), /^SIGNET_TOKEN(_FILE)?: SIGNET_TOKEN(_FILE)? is set too$/)
    assert.equal(readSettings({ SIGNET_TOKEN_FILE: file }).TOKEN?.reveal(), 'xyzzy')
    assert.equal(readSettings({ SIGNET_TOKEN_FILE: '' }).TOKEN, undefined)
    assert.deepEqual(mistakesOf({ SIGNET_toString: 'a' }), ['SIGNET_toString: there is no such setting'])
  })

  const wrong: [name: keyof typeof settingsTable, values: string[]][] = [
    ['PORT', ['-1', '65536', '9e3', '80 ', '0x50']],
    ['BASE_URL', ['signet', 'ftp://a', 'https://a/?b', 'https://a/#b', 'https://u@a']],
    ['DATABASE_URL', ['mysql://a/b', 'localhost']],
    ['DATABASE_CONNECTIONS', ['1', '1000', 'ten']],
    [
      'REDIS_URL',
      [
        'http://a',
        'redis:a',
        'redis://',
        'redis://a:0',
        'redis://a:65536',
        'redis://user@a',
        'redis://:%zz@a',
        'redis://:a%0d%0ab@a',
        'redis://a/zero',
        'redis://a?tls=true',
        'redis://a#b',
        'redis://a%20b',
        'redis://a,b:6379',
        'redis+sentinel://a',
        '/run/redis.sock',
      ],
    ],
    ['SECRET_KEY', ['x'.repeat(31)]],
    ['BOOTSTRAP_PASSWORD', ['1234567']],
    ['BOOTSTRAP_TOKEN', ['x'.repeat(19)]],
    [
      'SMTP_URL',
      [
        'http://mail',
        'smtp:mail',
        'smtp://',
        'smtp://mail:0',
        'smtp://mail:65536',
        'smtp://user@mail',
        'smtp://:password@mail',
        'smtp://a:%zz@mail',
        'smtp://a:b%0d%0aQUIT@mail',
        'smtp://mail/path',
        'smtp://mail?tls=none',
        'smtp://mail?proxy=http://other',
        'smtp://mail#x',
        'smtp://ma%20il',
        'smtp://[::zz]',
      ],
    ],
    [
      'MAIL_FROM',
      ['nobody', 'a@b@c', 'A <a@b', 'A <a@b> c', 'A <a b@c>', 'a@b, c@d', '"A\r\nBcc: c@d" <a@b>', 'A\r\nBcc: c@d <a@b>', 'A\u202e <a@b>'],
    ],
    ['TRUSTED_PROXIES', ['10.0.0.0/33', 'proxy', '10.0.0.0/8/8', '::1/129']],
    ['OUTBOUND_ALLOW', ['everything']],
    ['LOG_LEVEL', ['loud']],
  ]
  for (const [name, values] of wrong)
    test(`${name} refuses ${values.join(', ')}`, () => {
      for (const value of values) assert.equal(mistakesOf({ [`SIGNET_${name}`]: value }).length, 1, value)
    })

  test('a secret is never printed', () => {
    const settings = readSettings({ SIGNET_SECRET_KEY: 'k'.repeat(32), SIGNET_DATABASE_URL: 'postgresql://u:kkkk@h/d' })
    assert.ok(settings.SECRET_KEY instanceof Secret)
    assert.doesNotMatch(`${inspect(settings)}${JSON.stringify(settings)}${settings.SECRET_KEY}`, /kkkk/)
  })

  test('SMTP_URL and MAIL_FROM take what mail servers and people are called', () => {
    for (const url of [
      'smtp://mail',
      'smtp://mail:25/?tls=optional',
      'smtps://u%40x:p%3Aw@mail.example.com:465',
      'smtp://[::1]:2525',
      'smtp://bücher.example',
    ])
      assert.equal(readSettings({ SIGNET_SMTP_URL: url }).SMTP_URL?.reveal(), url)
    const from = (MAIL_FROM: string) => readSettings({ SIGNET_MAIL_FROM: MAIL_FROM }).MAIL_FROM
    assert.deepEqual(from('no-reply@example.com'), { address: 'no-reply@example.com' })
    assert.deepEqual(from('Büro & Co <no-reply@example.com>'), { name: 'Büro & Co', address: 'no-reply@example.com' })
    assert.deepEqual(from('"Office, Example" <a@example.com>'), { name: 'Office, Example', address: 'a@example.com' })
    assert.deepEqual(readSettings({ SIGNET_BASE_URL: 'https://id.example.com/x' }).MAIL_FROM, {
      name: 'Signet',
      address: 'no-reply@id.example.com',
    })
    assert.equal(readSettings({ SIGNET_BASE_URL: 'http://[::1]:9000' }).MAIL_FROM.address, 'no-reply@localhost')
  })

  test('each says what it is for', () => {
    for (const [name, { doc }] of Object.entries(settingsTable)) assert.match(doc, /\.$/, name)
  })
})

describe('networks', () => {
  const rows: [list: string[], address: string, matches: boolean][] = [
    [['10.0.0.0/8'], '10.1.2.3', true],
    [['10.0.0.0/8'], '11.1.2.3', false],
    [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
    [['127.0.0.1'], '127.0.0.1', true],
    [['127.0.0.1'], '127.0.0.2', false],
    [['fd00::/8'], 'fd12::1', true],
    [['fd00::/8'], 'fe80::1', false],
    [[], '127.0.0.1', false],
    [['0.0.0.0/0'], 'not an address', false],
  ]
  for (const [list, address, matches] of rows)
    test(`${address} is ${matches ? '' : 'not '}in ${list.join(', ') || 'no network'}`, () =>
      assert.equal(networkMatcher(list)(address), matches))
})
