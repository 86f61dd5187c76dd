/**
 * What an outpost was told last, kept on its own disk for a start while core is away. It holds keys, so it is sealed with a key made of the
 * outpost's token, which it can do nothing without anyway; and it is good no longer than a sign-in is.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openVault } from '#/lib/crypto.ts'
import type { Secret } from '#/lib/secret.ts'
import type { GuardedApplication, Person } from './core.ts'
import type { Ending } from './message.ts'
import { protocol } from './message.ts'
import { sessionMs } from './session.ts'

export interface LastKnown {
  /** When core was there last. Milliseconds since 1970. */
  at: number
  outpost: string
  generation: string
  applications: readonly GuardedApplication[]
  endings: readonly Ending[]
  /** Absent: nothing was forgotten. */
  forgottenUntil?: number
  seen: string
  /** Who was asked for, by id; null: there is nobody. */
  people: [string, Person | null][]
}

export interface LastKnownFile {
  /** For a start. Undefined: there is none; one that can't be used says why. Removes what a process that was killed left half written. */
  read(now: number): Promise<{ known: LastKnown } | { problem: string } | undefined>
  write(known: LastKnown): Promise<void>
  remove(): Promise<void>
}

/** Nobody's sign-in outlives it. */
export const goodForMs = sessionMs
const largest = 256 * 1_024 * 1_024
const fileName = 'outpost_last_known'

/** `server`: kept of one, it is not used for another. */
export const openLastKnown = (folder: string, { token, server }: { token: Secret; server: string }): LastKnownFile => {
  const path = join(resolve(folder), fileName)
  const vault = openVault(token, 'outpost_last_known')
  const context = `${protocol} ${server}`

  const readSealed = async (): Promise<Buffer | undefined> => {
    try {
      if ((await stat(path)).size > largest) return Buffer.alloc(0)
      return await readFile(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  const removeUnfinished = async (): Promise<void> => {
    const found = await readdir(resolve(folder)).catch(() => [])
    const left = found.filter((name) => name.startsWith(`${fileName}.`) && name.endsWith('.unfinished'))
    // One that can't be removed is sealed like the whole.
    await Promise.all(left.map((name) => rm(join(resolve(folder), name), { force: true }).catch(() => {})))
  }

  return {
    read: async (now) => {
      await removeUnfinished()
      let sealed: Buffer | undefined
      try {
        sealed = await readSealed()
      } catch (error) {
        return { problem: `it can not be read: ${(error as NodeJS.ErrnoException).code}` }
      }
      if (!sealed) return undefined
      try {
        // Sealed by us, so of this shape.
        const known = JSON.parse(vault.open(sealed, context).toString()) as LastKnown
        // A clock that was set back must not make it good for ever.
        const age = Math.abs(now - known.at)
        return age > goodForMs ? { problem: 'it is older than any sign-in' } : { known }
      } catch {
        return { problem: 'it was kept by another version, or with another token or server' }
      }
    },
    write: async (known) => {
      await mkdir(resolve(folder), { recursive: true, mode: 0o700 })
      const unfinished = `${path}.${randomBytes(6).toString('hex')}.unfinished`
      try {
        await writeFile(unfinished, vault.seal(JSON.stringify(known), context), { mode: 0o600, flag: 'wx' })
        await rename(unfinished, path)
      } finally {
        await rm(unfinished, { force: true })
      }
    },
    remove: async () => {
      await removeUnfinished()
      await rm(path, { force: true })
    },
  }
}
