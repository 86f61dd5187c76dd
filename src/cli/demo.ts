/** The demo application beside `up`: registered by its manifest over REST, then run as a process of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Settings, settingsTable } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import { findOwnerToken } from './data_dir.ts'
import { send } from './send.ts'

const folder = join(import.meta.dirname, '..', '..', 'demo')
/** What the manifest says, which is right for whoever applies it by hand and starts the application by its defaults. */
const manifestAddress = `http://localhost:${settingsTable.DEMO_PORT.default}/`
const client = { namespace: 'default', name: 'demo' }

export interface Demo {
  address: string
  stop(): Promise<void>
}

export const startDemo = async ({ settings, log, connect }: { settings: Settings; log: Log; connect: string }): Promise<Demo> => {
  const address = `http://localhost:${settings.DEMO_PORT}`
  const token = findOwnerToken(settings.DATA_DIR)
  if (!token) throw new Error(`There is no token in ${settings.DATA_DIR}, so the demo can't be registered.`)
  const call = async (method: string, path: string, body?: string): Promise<unknown> => {
    const { status, text } = await send(`${settings.BASE_URL}${path}`, {
      method,
      connect,
      headers: {
        authorization: `Bearer ${token.reveal()}`,
        ...(body === undefined ? {} : { 'content-type': 'application/yaml' }),
      },
      ...(body === undefined ? {} : { body }),
      patienceMs: 30_000,
    })
    if (status >= 300) throw new Error(`The demo could not be registered: ${method} ${path} answered ${status}: ${text.slice(0, 1_000)}`)
    return JSON.parse(text)
  }
  const manifest = readFileSync(join(folder, 'manifest.yaml'), 'utf8').replaceAll(manifestAddress, `${address}/`)
  await call('POST', '/api/v1/apply', manifest)
  const credentials = (await call('GET', `/api/v1/namespaces/${client.namespace}/authclients/${client.name}/credentials`)) as {
    client_id: string
    client_secret: string
  }
  const child = fork(join(folder, 'main.ts'), {
    // None of our own settings: what it needs is what any application needs.
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      DEMO_ISSUER: settings.BASE_URL,
      DEMO_URL: address,
      DEMO_CLIENT_ID: credentials.client_id,
      DEMO_CLIENT_SECRET: credentials.client_secret,
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  let stopping = false
  child.on('exit', (code, signal) => {
    if (!stopping) log.error({ event: 'demo.ended', code, signal }, 'the demo application ended by itself')
  })
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => {
      throw new Error('The demo application did not start.')
    }),
  ])
  return {
    address,
    stop: async () => {
      stopping = true
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 2_000)
      await exit
      clearTimeout(late)
    },
  }
}
