/**
 * DATA_DIR: what `up` makes once and keeps. Files in it are for the owner's eyes only (0600).
 *
 *   lock         held by the `up` that runs
 *   secret_key   the root secret, where the settings have none
 *   token        API token of the owner, for the command line
 *   up.json      where the running `up` answers and where its database is
 *   postgres/    the embedded database
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readLock } from '#/lib/process_lock.ts'
import { Secret } from '#/lib/secret.ts'

/** What a running `up` tells other processes of the same DATA_DIR. */
export interface UpState {
  pid: number
  /** Where people reach it, and its REST. */
  server: string
  /** Address on this machine that it listens on. */
  connect: string
  /** Set where no AuthServer is at BASE_URL: `server` leads elsewhere then, and is asked for at this port of `connect`. */
  port?: number
  /** With its password. */
  databaseUrl: string
  /** Whether that database is the embedded one. */
  embedded: boolean
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

const readText = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw inWords(error, path)
  }
}

const inWords = (error: unknown, path: string): Error => {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'EACCES' || code === 'EPERM'
    ? new Error(`${path} belongs to someone else. Start Signet as its owner, or set SIGNET_DATA_DIR to a folder of yours.`)
    : new Error(`${path}: ${message}`)
}

/** Whole or not at all, and readable by its owner alone from the first moment. */
const writePrivate = (path: string, text: string): void => {
  const unfinished = `${path}.${process.pid}.unfinished`
  try {
    writeFileSync(unfinished, text, { mode: 0o600 })
    renameSync(unfinished, path)
  } catch (error) {
    throw inWords(error, path)
  }
}

/** Makes the folder when it is missing. */
export const makeDataDir = (folder: string): string => {
  const path = resolve(folder)
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    // Root's PostgreSQL runs as another account, which has to walk through to its own folder.
    if (process.getuid?.() === 0) chmodSync(path, 0o711)
    readText(join(path, 'secret_key'))
  } catch (error) {
    throw inWords(error, path)
  }
  return path
}

export const findSecretKey = (folder: string): Secret | undefined => {
  const text = readText(join(resolve(folder), 'secret_key'))?.trim()
  return text ? new Secret(text) : undefined
}

/** The root secret of this folder, made when it has none. Two makers end up with the same one. */
export const ensureSecretKey = (folder: string): Secret => {
  const known = findSecretKey(folder)
  if (known) return known
  const path = join(resolve(folder), 'secret_key')
  const unfinished = `${path}.${process.pid}.unfinished`
  writeFileSync(unfinished, `${randomBytes(48).toString('base64url')}\n`, { mode: 0o600 })
  try {
    linkSync(unfinished, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw inWords(error, path)
  } finally {
    rmSync(unfinished, { force: true })
  }
  const made = findSecretKey(folder)
  if (!made) throw new Error(`${path} is empty`)
  return made
}

export const findOwnerToken = (folder: string): Secret | undefined => {
  const text = readText(join(resolve(folder), 'token'))?.trim()
  return text ? new Secret(text) : undefined
}

export const keepOwnerToken = (folder: string, token: Secret): void => writePrivate(join(resolve(folder), 'token'), `${token.reveal()}\n`)

const statePath = (folder: string): string => join(resolve(folder), 'up.json')

export const keepUpState = (folder: string, state: UpState): void => writePrivate(statePath(folder), `${JSON.stringify(state)}\n`)

export const dropUpState = (folder: string): void => rmSync(statePath(folder), { force: true })

/** Of the `up` that runs on this folder; undefined when none runs, or it is not so far yet. */
export const findUpState = async (folder: string): Promise<UpState | undefined> => {
  if ((await readLock(folder)) === undefined) return undefined
  const text = readText(statePath(folder))
  return text === undefined ? undefined : (JSON.parse(text) as UpState)
}
