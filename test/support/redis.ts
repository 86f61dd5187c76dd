/** A real Redis of one's own on 127.0.0.1 that keeps nothing: it is killed, comes back at the same port, stands still, and is written to by whoever likes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { findProgram } from './needs.ts'
import { freePort } from './postgres.ts'

export interface RedisServer {
  /** For REDIS_URL. */
  url: string
  port: number
  /** As someone else who may use it; ended with it. */
  client(): Redis
  start(): Promise<void>
  /** At once, without a word. */
  kill(): Promise<void>
  /** It accepts, and answers nobody; `resume` ends that. */
  freeze(): void
  resume(): void
}

export interface RedisServerOptions {
  password?: string
  /** Files of a certificate and its key: it speaks TLS alone. */
  tls?: { cert: string; key: string }
  /** More of redis.conf, as arguments. */
  args?: string[]
}

/** `start` starts it. */
export const redisServer = async ({ password, tls, args = [] }: RedisServerOptions = {}): Promise<RedisServer> => {
  const port = await freePort()
  const listens = tls
    ? ['--port', '0', '--tls-port', String(port), '--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-auth-clients', 'no']
    : ['--port', String(port)]
  let child: ChildProcess | undefined
  let client: Redis | undefined
  const endWithUs = () => child?.kill('SIGKILL')
  return {
    url: `${tls ? 'rediss' : 'redis'}://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    port,
    client: () => {
      client ??= new Redis({ host: '127.0.0.1', port, ...(password === undefined ? {} : { password }), retryStrategy: () => 50 })
      client.on('error', () => {})
      return client
    },
    start: async () => {
      const started = spawn(
        findProgram('redis-server') as string,
        [
          ...[...listens, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
          ...(password === undefined ? [] : ['--requirepass', password]),
          ...args,
        ],
        { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] },
      )
      child = started
      process.on('exit', endWithUs)
      let said = ''
      for await (const chunk of started.stdout.iterator({ destroyOnReturn: false })) {
        said += chunk
        if (said.includes('Ready to accept connections')) break
      }
      started.stdout.resume()
      if (!said.includes('Ready to accept connections')) throw new Error(`redis-server ended:\n${said}`)
    },
    kill: async () => {
      client?.disconnect()
      client = undefined
      process.off('exit', endWithUs)
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
    freeze: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
  }
}
