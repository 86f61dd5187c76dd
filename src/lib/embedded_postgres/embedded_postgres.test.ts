import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { startEmbeddedPostgres } from './embedded_postgres.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-postgres-'))
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ask = async (url: string, text: string): Promise<unknown> => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query<unknown[]>({ text, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}

const postmaster = (): number => Number(readFileSync(join(folder, 'data/postmaster.pid'), 'utf8').split('\n')[0])

/** Starts it in a process of its own, which is then killed. */
const startAndDie = async (): Promise<void> => {
  const program = `
    import { startEmbeddedPostgres } from ${JSON.stringify(new URL('embedded_postgres.ts', import.meta.url).href)}
    await startEmbeddedPostgres({ folder: ${JSON.stringify(folder)} })
    process.kill(process.pid, 'SIGKILL')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore', cwd: import.meta.dirname })
  await once(child, 'exit')
}

describe('the embedded PostgreSQL', () => {
  test('is made once, keeps what was written, and is durable', async () => {
    const first = await startEmbeddedPostgres({ folder })
    assert.equal(first.made, true)
    await ask(first.url, 'create table kept as select 7 as id')
    for (const name of ['fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums'])
      assert.equal(await ask(first.url, `show ${name}`), 'on', name)
    assert.equal(await ask(first.url, 'show server_encoding'), 'UTF8')
    await first.stop()
    assert.equal(existsSync(join(folder, 'data/postmaster.pid')), false)

    const began = performance.now()
    const second = await startEmbeddedPostgres({ folder })
    assert.equal(second.made, false)
    assert.equal(second.url, first.url)
    assert.ok(performance.now() - began < 10_000)
    assert.equal(await ask(second.url, 'select id from kept'), 7)
    await second.stop()
  })

  test('asks for a password that only the owner can read, and listens for nobody else', async () => {
    const { url, stop } = await startEmbeddedPostgres({ folder })
    try {
      assert.equal(statSync(join(folder, 'password')).mode & 0o077, 0)
      assert.equal(statSync(join(folder, 'data')).mode & 0o077, 0)
      await assert.rejects(ask(url.replace(/:[^:@/]+@/, ':wrong@'), 'select 1'), /password authentication failed/)
      assert.equal(await ask(url, 'show listen_addresses'), '')
    } finally {
      await stop()
    }
  })

  test('that outlived its killed process is stopped and started by the next', async () => {
    await startAndDie()
    const orphan = postmaster()
    process.kill(orphan, 0)
    const said: string[] = []
    const { url, stop } = await startEmbeddedPostgres({ folder, say: (line) => said.push(line) })
    try {
      assert.match(said.join('\n'), /still runs/)
      assert.notEqual(postmaster(), orphan)
      assert.equal(await ask(url, 'select 1'), 1)
    } finally {
      await stop()
    }
  })

  test('starts over a file that names a process of something else', async () => {
    const first = await startEmbeddedPostgres({ folder })
    const file = join(folder, 'data/postmaster.pid')
    const text = readFileSync(file, 'utf8')
    await first.stop()
    writeFileSync(file, text.replace(/^\d+/, String(process.pid)), { mode: 0o600 })
    const second = await startEmbeddedPostgres({ folder })
    assert.equal(await ask(second.url, 'select 1'), 1)
    await second.stop()
  })

  test('that crashes is there again by itself, with everything acknowledged', async () => {
    const restarts: string[] = []
    const { url, stop } = await startEmbeddedPostgres({ folder, onRestart: (detail) => restarts.push(detail) })
    try {
      await ask(url, 'create table kept as select 7 as id')
      process.kill(postmaster(), 'SIGKILL')
      const until = Date.now() + 30_000
      for (;;) {
        const found = await ask(url, 'select id from kept').catch(() => undefined)
        if (found === 7) break
        assert.ok(Date.now() < until, 'it came back')
        await sleep(50)
      }
      assert.deepEqual(restarts.slice(0, 1), ['SIGKILL'])
    } finally {
      await stop()
    }
  })

  test('listens on a port of loopback where the path is too long for a socket', async () => {
    const { url, stop } = await startEmbeddedPostgres({ folder: join(folder, 'x'.repeat(90)) })
    try {
      assert.equal(new URL(url).hostname, '127.0.0.1')
      assert.equal(await ask(url, 'show listen_addresses'), '127.0.0.1')
    } finally {
      await stop()
    }
  })
})
