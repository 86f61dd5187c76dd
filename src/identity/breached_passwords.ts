/**
 * Passwords that have leaked: a folder of files named for the first five hex digits of a SHA-1, in which stand the other 35 with how often
 * each was seen, as the well-known range downloads write them. One file is read a question, so nothing of the list is kept in memory, and no
 * one outside is asked.
 *
 * A list that is configured and can't be read refuses every new password (503) instead of letting any pass: who mounts a list wants no
 * leaked password to get in, setting one can wait, and signing in does not ask the list. A prefix without a file is no fault: a short list
 * of one's own has few of them.
 */
import { hash } from 'node:crypto'
import { open, opendir } from 'node:fs/promises'
import { join } from 'node:path'

export interface BreachedPasswords {
  /** Throws UnreadableList. */
  has(plain: string): Promise<boolean>
}

export class UnreadableList extends Error {
  /** Which file or folder. */
  readonly path: string
  /** The first in a while: worth an event. */
  isNews = false
  constructor(path: string, why: string) {
    super(`${path}: ${why}`)
    this.path = path
  }
}

/** A thousand lines of 40 characters are usual. */
const largestFile = 1024 * 1024
/** Entries of the folder that are looked at for one that belongs to such a list. */
const lookedAt = 100

const filePattern = /^[0-9A-F]{5}(\.txt)?$/
const linePattern = /^([0-9A-F]{35})(?::(\d+))?$/i

/** Between two that are news. */
const quietMs = 10 * 60_000

export const openBreachedPasswords = (folder: string): BreachedPasswords => {
  let toldAt = Number.NEGATIVE_INFINITY
  return {
    has: async (plain) => {
      try {
        return await isListed(folder, plain)
      } catch (error) {
        if (error instanceof UnreadableList && performance.now() - toldAt > quietMs) {
          toldAt = performance.now()
          error.isNews = true
        }
        throw error
      }
    },
  }
}

const isListed = async (folder: string, plain: string): Promise<boolean> => {
  const digest = hash('sha1', plain.normalize('NFC'), 'hex').toUpperCase()
  const [prefix, suffix] = [digest.slice(0, 5), digest.slice(5)]
  const file = (await read(join(folder, `${prefix}.txt`))) ?? (await read(join(folder, prefix)))
  if (file === undefined) {
    await requireList(folder)
    return false
  }
  const lines = file.text.split('\n').map((line) => linePattern.exec(line.trim()))
  if (file.text.trim() && !lines.some(Boolean)) throw new UnreadableList(file.path, 'has no line SUFFIX:COUNT')
  // A count of 0 pads the file and was seen nowhere.
  return lines.some((line) => line?.[1]?.toUpperCase() === suffix && Number(line[2] ?? 1) > 0)
}

/** Undefined when there is no such file. */
const read = async (path: string): Promise<{ path: string; text: string } | undefined> => {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > largestFile) throw new UnreadableList(path, `has more than ${largestFile} bytes`)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0)
    return { path, text: buffer.toString('latin1', 0, bytesRead) }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error instanceof UnreadableList ? error : new UnreadableList(path, codeOf(error))
  }
}

/** A folder that is empty or not there is a list that was not mounted. */
const requireList = async (folder: string): Promise<void> => {
  try {
    let seen = 0
    for await (const { name } of await opendir(folder)) if (filePattern.test(name) || ++seen >= lookedAt) return
  } catch (error) {
    throw new UnreadableList(folder, codeOf(error))
  }
  throw new UnreadableList(folder, 'has no file of a list')
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown reason'
