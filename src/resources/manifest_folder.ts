/**
 * The files of a watched folder. Whoever may write there may write anything that is no manifest, too: pipes and devices that never end,
 * links to what lies elsewhere, files without number. What is left out is told, and everything else is taken.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, opendir, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { largestText } from './manifest.ts'

export const mostFiles = 2_000
/** Of files and folders together, manifests or not. */
const mostEntries = 20_000
const deepest = 16
const largestFolder = 32 * 1_024 * 1_024

export interface ManifestFile {
  /** Below the folder. */
  name: string
  /** Links resolved. */
  path: string
  /** Changes when the content does. */
  version: string
}

export interface Skipped {
  name: string
  detail: string
}

export interface Folder {
  /** In the order of their names. */
  files: ManifestFile[]
  skipped: Skipped[]
}

/** Hidden files and folders are left out without a word, as the mechanics of mounted ConfigMaps are. Throws when the folder can't be read. */
export const listManifestFiles = async (folder: string): Promise<Folder> => {
  const root = await realpath(folder)
  const files: ManifestFile[] = []
  const skipped: Skipped[] = []
  let entries = 0
  let bytes = 0
  const skip = (path: string, detail: string) => void skipped.push({ name: relative(folder, path), detail })

  const take = async (path: string): Promise<void> => {
    if (files.length >= mostFiles) return skip(path, `is left out: at most ${mostFiles} files are read`)
    try {
      const real = await realpath(path)
      if (!real.startsWith(root.endsWith(sep) ? root : root + sep)) return skip(path, 'is a link that leads out of the folder')
      const found = await stat(real)
      const detail = faultOf(found) ?? (bytes + found.size > largestFolder ? tooLargeTogether : undefined)
      if (detail) return skip(path, detail)
      bytes += found.size
      files.push({ name: relative(folder, path), path: real, version: `${found.ino} ${found.mtimeMs} ${found.ctimeMs} ${found.size}` })
    } catch (error) {
      skip(path, unreadable(error))
    }
  }
  const walk = async (current: string, depth: number): Promise<void> => {
    for (const { name, isFolder } of await list(current)) {
      const path = join(current, name)
      if (!isFolder) {
        if (/\.(ya?ml|json)$/.test(name)) await take(path)
        continue
      }
      if (depth >= deepest) skip(path, `is left out: folders within ${deepest} others are not read`)
      else await walk(path, depth + 1).catch((error) => skip(path, unreadable(error)))
    }
  }
  const list = async (current: string) => {
    const found: { name: string; isFolder: boolean }[] = []
    for await (const entry of await opendir(current)) {
      if (++entries > mostEntries) {
        skip(current, `has too much in it: at most ${mostEntries} files and folders are looked at`)
        break
      }
      if (!entry.name.startsWith('.')) found.push({ name: entry.name, isFolder: entry.isDirectory() })
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }
  await walk(folder, 0)
  return { files, skipped }
}

const tooLargeTogether = `is left out: the files may have ${largestFolder} bytes together`

const faultOf = (found: { isFile(): boolean; size: number }): string | undefined =>
  !found.isFile() ? 'is not a regular file' : found.size > largestText ? `is larger than ${largestText} bytes` : undefined

const unreadable = (error: unknown): string => `can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`

/** The text, or why there is none: it may have become something else since it was listed. */
export const readManifestFile = async ({ path }: ManifestFile): Promise<{ text: string } | { fault: string }> => {
  let file: FileHandle | undefined
  try {
    // A pipe is not waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    const fault = faultOf(await file.stat())
    if (fault) return { fault }
    return { text: await readBounded(file) }
  } catch (error) {
    return { fault: unreadable(error) }
  } finally {
    await file?.close()
  }
}

/** One byte more than is allowed tells that it has grown; the size of what a kernel makes up (`/proc`) tells nothing. */
const readBounded = async (file: FileHandle): Promise<string> => {
  const parts: Buffer[] = []
  let size = 0
  while (size <= largestText) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(65_536))
    if (bytesRead === 0) return Buffer.concat(parts).toString('utf8')
    parts.push(buffer.subarray(0, bytesRead))
    size += bytesRead
  }
  throw Object.assign(new Error(), { code: 'EFBIG' })
}
