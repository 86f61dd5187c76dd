/**
 * One process at a time for a folder. The lock is a unix socket that its holder listens on: it is held exactly as long as the
 * holder lives, a `kill -9` frees it, and it works between containers that share the folder, where a process number means
 * nothing. A lock file with a process number was refused for that reason. What the socket says to whoever connects is the note
 * of the holder.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type Held = { state: 'held'; setNote(note: string): void; release(): Promise<void> } | { state: 'taken'; note: string }

/** The kernel's limit for the path of a socket is 107 bytes. */
const longestPath = 100

const socketOf = (folder: string): string => {
  const path = join(resolve(folder), 'lock')
  if (Buffer.byteLength(path) <= longestPath) return path
  return join(tmpdir(), `signet-${createHash('sha256').update(path).digest('hex').slice(0, 32)}`)
}

const listen = (path: string, note: () => string): Promise<Server | undefined> =>
  new Promise((done, fail) => {
    const server = createServer((socket) => socket.on('error', () => {}).end(note()))
    server.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? done(undefined) : fail(error)))
    server.listen(path, () => done(server))
  })

const answerMs = 2_000

/** The note of a living holder, undefined when nobody listens. A holder too busy to answer is alive. */
const ask = (path: string): Promise<string | undefined> =>
  new Promise((done) => {
    let note = ''
    const socket = connect(path)
    socket.setEncoding('utf8').setTimeout(answerMs, () => socket.destroy())
    socket.on('data', (chunk) => {
      note += chunk
    })
    let alive = false
    socket.on('connect', () => {
      alive = true
    })
    socket.on('error', () => {})
    socket.on('close', () => done(alive ? note : undefined))
  })

/** Takes the lock of a folder, or tells who has it. */
export const takeLock = async (folder: string, note: string): Promise<Held> => {
  const path = socketOf(folder)
  let said = note
  for (;;) {
    const server = await listen(path, () => said)
    if (server) {
      server.unref()
      return {
        state: 'held',
        setNote: (text) => {
          said = text
        },
        release: () => new Promise((done) => server.close(() => done())),
      }
    }
    const holder = await ask(path)
    if (holder !== undefined) return { state: 'taken', note: holder }
    if (!(await clearRemains(path))) await sleep(50)
  }
}

const guardLivesMs = 5_000

/** Left by a process that was killed. One starter at a time looks again and removes it, so that none removes what another has just taken. */
const clearRemains = async (path: string): Promise<boolean> => {
  const guard = `${path}.clearing`
  try {
    closeSync(openSync(guard, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const age = Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > guardLivesMs) rmSync(guard, { force: true })
    return false
  }
  try {
    if ((await ask(path)) === undefined) rmSync(path, { force: true })
  } finally {
    rmSync(guard, { force: true })
  }
  return true
}

/** The note of the folder's holder, undefined when there is none. */
export const readLock = (folder: string): Promise<string | undefined> => ask(socketOf(folder))
