/** The process: started, waited for, stopped; and what a killed one of ours left behind. */
import { type ChildProcess, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../process_alive.ts'
import type { Binaries } from './binaries.ts'
import { lastLines, type Paths } from './folder.ts'
import { ended, type Runner, start } from './runner.ts'

const readyWithinMs = 60_000
const stopWithinMs = 8_000

/** Durable: fsync, synchronous commit and full page writes stay on. The rest is sized for one machine that does other things too. */
const tuning: Record<string, string> = {
  shared_buffers: '128MB',
  max_connections: '120',
  max_wal_size: '1GB',
  wal_compression: 'on',
  random_page_cost: '1.1',
  effective_cache_size: '512MB',
  io_method: 'sync',
  jit: 'off',
  password_encryption: 'scram-sha-256',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Refused statements are reported to us and logged by us; the file of PostgreSQL holds its own life only.
  log_min_messages: 'log',
  log_checkpoints: 'off',
}

export const runPostgres = (binaries: Binaries, runner: Runner, paths: Paths, settings: Record<string, string>): ChildProcess => {
  const log = openSync(paths.log, 'a', 0o600)
  try {
    return start(
      runner,
      [
        binaries.postgres,
        '-D',
        paths.data,
        ...Object.entries({ ...tuning, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      { stdio: ['ignore', log, log], cwd: paths.folder, detached: true },
    )
  } finally {
    closeSync(log)
  }
}

/** PostgreSQL writes `ready` into the eighth line of its file once it takes connections. */
const isReady = (data: string, pid: number): boolean => {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
  } catch {
    return false
  }
}

export const waitUntilReady = async (child: ChildProcess, paths: Paths): Promise<void> => {
  const until = Date.now() + readyWithinMs
  let outcome: string | undefined
  ended(child).then((how) => {
    outcome = how
  })
  while (!isReady(paths.data, child.pid ?? 0)) {
    if (outcome) throw new Error(`PostgreSQL did not start (${outcome}):\n${lastLines(paths.log)}`)
    if (Date.now() > until) throw new Error(`PostgreSQL is not ready after ${readyWithinMs / 1000} s; see ${paths.log}`)
    await sleep(10)
  }
}

const commandOf = (pid: number): string => {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    } catch {
      return ''
    }
  }
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Its file goes last; a killed one leaves the file, and its process. */
const waitForEnd = async (pid: number, data: string, withinMs: number): Promise<boolean> => {
  const until = Date.now() + withinMs
  while (isAlive(pid) && existsSync(join(data, 'postmaster.pid'))) {
    if (Date.now() > until) return false
    await sleep(20)
  }
  return true
}

/** Fast, and if that takes too long at once: then the next start replays the log, nothing is lost either way. */
export const stopPostmaster = async (pid: number, data: string, withinMs = stopWithinMs): Promise<void> => {
  signal(pid, 'SIGINT')
  if (await waitForEnd(pid, data, withinMs)) return
  signal(pid, 'SIGQUIT')
  if (await waitForEnd(pid, data, 2_000)) return
  throw new Error(`PostgreSQL (process ${pid}) does not end`)
}

/** What a killed process left: its PostgreSQL still runs, or only the file that says so. */
export const clearRemains = async (paths: Paths, say: (line: string) => void): Promise<void> => {
  const file = join(paths.data, 'postmaster.pid')
  if (!existsSync(file)) return
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  if (!Number.isSafeInteger(pid) || pid <= 1 || !isAlive(pid)) return
  if (commandOf(pid).includes(paths.data)) {
    say('The database still runs, left behind by a process that was killed. Stopping it first.')
    await stopPostmaster(pid, paths.data)
  } else {
    // The number went to another program, for which PostgreSQL would refuse to start. What guards the data is its shared memory.
    rmSync(file, { force: true })
  }
}
