/** A Node program as a child of this one, ended with it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Program {
  pid: number
  /** What it writes first. */
  firstLine(): Promise<string>
  /** Resolves when it ended well; throws with what it said otherwise. */
  ended(): Promise<void>
  /** Never resolves; throws when it ends by itself. */
  endedEarly(): Promise<never>
  stop(): Promise<void>
}

const root = fileURLToPath(new URL('..', import.meta.url))
const running = new Set<() => void>()
process.once('exit', () => {
  for (const kill of running) kill()
})

/**
 * `args` of this Node, file names from the root of the project; the environment is this one's without settings of Signet and of malloc, and `env`.
 * So what is not Signet runs as Node comes.
 */
export const startProgram = (args: string[], env: Record<string, string> = {}): Program => {
  const inherited = Object.entries(process.env).filter(([name]) => !/^SIGNET_|^GLIBC_TUNABLES$/.test(name))
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const keep = (chunk: Buffer) => {
    said = (said + chunk).slice(-4_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const first = new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve))
  const kill = () => child.kill('SIGKILL')
  running.add(kill)
  const over = once(child, 'exit').then(([code, signal]) => {
    running.delete(kill)
    return { code: code as number | null, signal: signal as string | null }
  })
  const told = ({ code, signal }: { code: number | null; signal: string | null }) =>
    new Error(`${args.join(' ')} ended (${signal ?? `exit code ${code}`}):\n${said}`)
  return {
    pid: child.pid ?? 0,
    firstLine: () => Promise.race([first, over.then((how) => Promise.reject(told(how)))]),
    ended: async () => {
      const how = await over
      if (how.code !== 0) throw told(how)
    },
    endedEarly: async () => {
      throw told(await over)
    },
    stop: async () => {
      child.kill('SIGTERM')
      const hard = setTimeout(kill, 10_000)
      await over
      clearTimeout(hard)
    },
  }
}
