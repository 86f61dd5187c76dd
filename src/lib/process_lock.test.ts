import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { readLock, takeLock } from './process_lock.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const holderIn = async (where: string): Promise<ChildProcess> => {
  const program = `
    import { takeLock } from ${JSON.stringify(new URL('process_lock.ts', import.meta.url).href)}
    const lock = await takeLock(${JSON.stringify(where)}, 'of a child')
    process.send(lock.state)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  assert.deepEqual(await once(child, 'message').then(([state]) => state), 'held')
  return child
}

describe('the lock of a folder', () => {
  test('is held by one, who tells the others what they should know', async () => {
    const first = await takeLock(folder, 'starting')
    assert.equal(first.state, 'held')
    assert.deepEqual(await takeLock(folder, 'second'), { state: 'taken', note: 'starting' })
    if (first.state !== 'held') return
    first.setNote('ready')
    assert.equal(await readLock(folder), 'ready')
    await first.release()
    assert.equal(await readLock(folder), undefined)
    const third = await takeLock(folder, 'third')
    assert.equal(third.state, 'held')
    if (third.state === 'held') await third.release()
  })

  test('is free again when its holder was killed', async () => {
    const child = await holderIn(folder)
    assert.deepEqual(await takeLock(folder, 'mine'), { state: 'taken', note: 'of a child' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(await readLock(folder), undefined)
    const lock = await takeLock(folder, 'mine')
    assert.equal(lock.state, 'held')
    if (lock.state === 'held') await lock.release()
  })

  test('goes to one of many who find it left behind', async () => {
    const child = await holderIn(folder)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const locks = await Promise.all(Array.from({ length: 8 }, () => takeLock(folder, 'one of many')))
    assert.equal(locks.filter(({ state }) => state === 'held').length, 1)
    for (const lock of locks) if (lock.state === 'held') await lock.release()
  })

  test('works where the path is too long for a socket', async () => {
    const deep = join(folder, 'x'.repeat(120))
    const first = await takeLock(deep, 'deep')
    assert.equal(first.state, 'held')
    assert.equal((await takeLock(deep, 'other')).state, 'taken')
    assert.equal((await takeLock(folder, 'elsewhere')).state, 'held')
    if (first.state === 'held') await first.release()
  })
})
