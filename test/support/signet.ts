/** A real Signet in a process of its own, with its own database and folder, spoken to over the wire. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type FreshDatabase, freshDatabase } from './database.ts'
import { freePort } from './postgres.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Answer<Body = unknown> {
  status: number
  headers: Headers
  text: string
  /** Undefined when the answer is not JSON. */
  body: Body
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  afterMs: number
}

export interface Signet {
  /** Without a slash at its end. */
  issuer: string
  port: number
  metricsPort: number
  dataDir: string
  database: { db: FreshDatabase['db']; url: string }
  /** Has all rights. */
  token: string
  /** Of the user admin. */
  password: string
  env: Record<string, string>
  /** REST with the token of full rights, or another one. An object is sent as JSON, a string as YAML. */
  api<Body = unknown>(
    method: string,
    path: string,
    body?: unknown,
    options?: { token?: string | undefined; headers?: Record<string, string> },
  ): Promise<Answer<Body>>
  /** Applies manifests; throws unless all of them were taken. */
  apply(manifests: string): Promise<ApplyResult[]>
  pid(): number
  isAlive(): boolean
  /** Sends the signal to the process and those it started, and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<Exit>
  /** Ends what runs, by `signal`, and starts again on the same data; resolves when ready. */
  restart(options?: { signal?: NodeJS.Signals }): Promise<void>
  logs(): string
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

export interface ApplyResult {
  kind: string
  namespace: string
  name: string
  result: 'created' | 'configured' | 'unchanged' | 'deleted' | 'refused'
  errors: { pointer?: string; detail: string; line?: number }[]
  status?: { conditions?: { type: string; status: string; reason: string; message?: string }[]; [field: string]: unknown }
}

export interface SignetOptions {
  /** Default: `up`. */
  command?: string
  flags?: string[]
  /** `SIGNET_` names without their prefix; undefined takes a default away. */
  settings?: Record<string, string | undefined>
  /** PostgreSQL to use instead of a fresh database of the shared one. */
  databaseUrl?: string
  readyWithinMs?: number
  /** What /-/health/ must answer before the start is over. Default: ready. */
  waitUntil?: 'ready' | 'live'
  /** Is given all that it logs; `logs()` keeps the end of it. */
  logged?: (text: string) => void
}

/** This machine's environment without anyone's own settings of Signet. */
const cleanEnvironment = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SIGNET_') && name !== 'NODE_TEST_CONTEXT'))

export const runSignet = async (
  args: string[],
  { settings = {}, input }: { settings?: Record<string, string | undefined>; input?: string } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> => {
  const env = { ...cleanEnvironment(), ...prefixed(settings) }
  const child = spawn(process.execPath, ['src/cli/main.ts', ...args], { cwd: root, env, stdio: ['pipe', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

const prefixed = (settings: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[`SIGNET_${name}`, value]])))

/** Waits until `look` answers something, or throws with what `explain` says. */
export const until = async <Found>(
  look: () => Promise<Found | undefined | false> | Found | undefined | false,
  {
    withinMs = 15_000,
    everyMs = 50,
    explain = () => 'it did not come',
  }: { withinMs?: number; everyMs?: number; explain?: () => string } = {},
): Promise<Found> => {
  const deadline = Date.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`after ${withinMs} ms: ${explain()}`)
    await delay(everyMs)
  }
}

export const startSignet = async (options: SignetOptions = {}): Promise<Signet> => {
  const own = options.databaseUrl === undefined ? await freshDatabase() : undefined
  const databaseUrl = own?.url ?? options.databaseUrl ?? ''
  const dataDir = mkdtempSync(join(tmpdir(), 'signet-story-'))
  const [free, metricsPort, rpcPort] = await Promise.all([freePort(), freePort(), freePort()])
  const port = Number(options.settings?.PORT ?? free)
  const token = randomBytes(24).toString('base64url')
  const password = randomBytes(12).toString('base64url')
  const settings: Record<string, string | undefined> = {
    HOST: '127.0.0.1',
    PORT: String(port),
    BASE_URL: `http://localhost:${port}`,
    METRICS_PORT: String(metricsPort),
    RPC_PORT: String(rpcPort),
    DATA_DIR: dataDir,
    DATABASE_URL: databaseUrl,
    SECRET_KEY: randomBytes(36).toString('base64'),
    BOOTSTRAP_TOKEN: token,
    BOOTSTRAP_PASSWORD: password,
    OUTBOUND_ALLOW: '127.0.0.0/8 ::1/128',
    ...options.settings,
  }
  const issuer = settings.BASE_URL ?? `http://localhost:${port}`
  let log = ''
  let child: ChildProcess | undefined

  const isAlive = () => child !== undefined && child.exitCode === null && child.signalCode === null
  /** The process is the head of a group, so that what it started goes with it. */
  const signalGroup = (signal: NodeJS.Signals) => {
    try {
      if (child?.pid) process.kill(-child.pid, signal)
    } catch {
      // All of them are gone.
    }
  }
  const endWithUs = () => signalGroup('SIGKILL')
  process.on('exit', endWithUs)

  const launch = () => {
    const started = spawn(process.execPath, ['src/cli/main.ts', options.command ?? 'up', ...(options.flags ?? [])], {
      cwd: root,
      env: { ...cleanEnvironment(), ...prefixed(settings) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (chunk) => {
        options.logged?.(String(chunk))
        log = (log + chunk).slice(-200_000)
      })
    child = started
  }
  const ready = () =>
    until(
      async () => {
        if (!isAlive()) throw new Error(`Signet ended with ${child?.exitCode ?? child?.signalCode}:\n${log}`)
        return fetch(`http://127.0.0.1:${port}/-/health/${options.waitUntil ?? 'ready'}`).then(
          ({ status }) => status === 200,
          () => false,
        )
      },
      { withinMs: options.readyWithinMs ?? 30_000, explain: () => `Signet is not ready:\n${log}` },
    )
  const kill = async (signal: NodeJS.Signals): Promise<Exit> => {
    const began = performance.now()
    const running = child
    if (running && isAlive()) {
      const exit = once(running, 'exit')
      if (signal === 'SIGKILL') signalGroup(signal)
      else running.kill(signal)
      await exit
    }
    return { code: running?.exitCode ?? null, signal: running?.signalCode ?? null, afterMs: performance.now() - began }
  }
  const api: Signet['api'] = async <Body>(
    method: string,
    path: string,
    body?: unknown,
    { token: otherToken, headers = {} }: { token?: string | undefined; headers?: Record<string, string> } = {},
  ): Promise<Answer<Body>> => {
    const type = typeof body === 'string' ? 'application/yaml' : method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const response = await fetch(new URL(path, `${issuer}/`), {
      method,
      headers: { authorization: `Bearer ${otherToken ?? token}`, ...(body === undefined ? {} : { 'content-type': type }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, headers: response.headers, text, body: (isJson && text ? JSON.parse(text) : undefined) as Body }
  }

  launch()
  try {
    await ready()
  } catch (error) {
    await kill('SIGKILL')
    throw error
  }
  return {
    issuer,
    port,
    metricsPort,
    dataDir,
    database: { db: own?.db as FreshDatabase['db'], url: databaseUrl },
    token,
    password,
    env: prefixed(settings),
    api,
    apply: async (manifests) => {
      const { status, body, text } = await api<{ items?: ApplyResult[] } | ApplyResult[]>('POST', '/api/v1/apply', manifests)
      if (status !== 200) throw new Error(`apply answered ${status}: ${text}`)
      return Array.isArray(body) ? body : (body.items ?? [])
    },
    pid: () => child?.pid ?? 0,
    isAlive,
    kill,
    restart: async ({ signal = 'SIGTERM' } = {}) => {
      await kill(signal)
      launch()
      await ready()
    },
    logs: () => log,
    stop: async () => {
      await Promise.race([kill('SIGTERM'), delay(12_000)])
      signalGroup('SIGKILL')
      process.off('exit', endWithUs)
      await own?.drop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
