/** A foreign proxy in front of applications, set up as its guide says. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findProgram } from './needs.ts'
import { freePort } from './postgres.ts'
import { until } from './signet.ts'

/** What a guide leaves to its reader. */
export interface Site {
  /** For its files. */
  folder: string
  port: number
  /** Of applications, without the port. */
  hosts: string[]
  signetPort: number
  upstreamPort: number
}

export interface FrontProxy {
  /** Its program, and its guide in docs/guides/outposts. */
  name: 'nginx' | 'caddy' | 'haproxy'
  configure(site: Site): { files: Record<string, string>; args: string[] }
}

export interface RunningProxy {
  port: number
  output(): string
  stop(): Promise<void>
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

export const startFrontProxy = async (
  { name, configure }: FrontProxy,
  site: Omit<Site, 'folder' | 'port'> & { port?: number },
): Promise<RunningProxy> => {
  const folder = mkdtempSync(join(tmpdir(), `signet-${name}-`))
  const port = site.port ?? (await freePort())
  const { files, args } = configure({ ...site, folder, port })
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  let output = ''
  const child: ChildProcess = spawn(findProgram(name) ?? name, args, {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      output = (output + chunk).slice(-20_000)
    })
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const stop = async () => {
    if (!hasEnded()) {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
    }
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await until(
      async () => {
        if (hasEnded()) throw new Error(`${name} ended: ${output}`)
        return listens(port)
      },
      { explain: () => `${name} does not listen: ${output}` },
    )
  } catch (error) {
    await stop()
    throw error
  }
  return { port, output: () => output, stop }
}
