import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '#/lib/clock.ts'
import { readSettings, type Settings } from '#/lib/config.ts'
import { startEmbeddedPostgres } from '#/lib/embedded_postgres/embedded_postgres.ts'
import { openLog } from '#/lib/log.ts'
import { migrate } from '#/lib/migrate.ts'
import { takeLock } from '#/lib/process_lock.ts'
import { startServer } from '#/server/server.ts'
import { startWorker } from '#/worker/worker.ts'
import { type Command, parseProcessFlags, serverFolders } from './command.ts'
import { dropUpState, ensureSecretKey, keepUpState, makeDataDir } from './data_dir.ts'
import { startDemo } from './demo.ts'
import { firstStart } from './first_start.ts'
import { settledSettings } from './joined.ts'
import { stopSignal } from './stop_signal.ts'

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

/** What was started, the last first: a start that fails half-way leaves nothing running. */
type Stops = ((withinMs: number) => Promise<unknown> | unknown)[]

/** An address to connect to, of one that was bound. */
const reachable = (bound: string): string => ({ '0.0.0.0': '127.0.0.1', '::': '::1' })[bound] ?? bound

/** Where people get in: BASE_URL, unless no AuthServer is there, since its issuer stays when BASE_URL or PORT is another one. */
const addressOf = (baseUrl: string, issuers: readonly string[]): string =>
  issuers.includes(baseUrl.replace(/\/$/, '')) ? baseUrl : (issuers.at(-1) ?? baseUrl)

/** Of the ten seconds that are promised. */
const stopWithinMs = 9_000

const run = async (settings: Settings, { demo, authServer }: { demo: boolean; authServer?: string }): Promise<number> => {
  const { stopped, isStopped } = stopSignal()
  const began = performance.now()
  const log = openLog(settings.LOG_LEVEL)
  const dataDir = makeDataDir(settings.DATA_DIR)
  const lock = await takeLock(dataDir, `process ${process.pid}`)
  if (lock.state === 'taken')
    throw new Error(`Signet runs on ${dataDir} already (${lock.note || 'it is busy'}). Stop it first, or set another SIGNET_DATA_DIR.`)
  const stops: Stops = [() => lock.release()]
  try {
    // Of one that was killed: another program may listen at its address by now.
    dropUpState(dataDir)
    const rootSecret = settings.SECRET_KEY ?? ensureSecretKey(dataDir)
    const embedded = !settings.DATABASE_URL
    const settled = settledSettings(settings, embedded)
    let databaseUrl = settings.DATABASE_URL?.reveal()
    if (databaseUrl === undefined) {
      const postgres = await startEmbeddedPostgres({
        folder: join(dataDir, 'postgres'),
        say,
        onRestart: (detail) => log.warn({ event: 'database.embedded.ended', detail }, 'PostgreSQL ended by itself, starting it again'),
      })
      databaseUrl = postgres.url
      stops.unshift((withinMs) => postgres.stop(withinMs))
    }
    if (isStopped()) return 0
    const applied = await migrate(databaseUrl)
    if (applied.length) say(`Brought the database up to date (${applied.length} migration${applied.length === 1 ? '' : 's'}).`)
    const first = await firstStart({ settings: settled, databaseUrl, dataDir, clock: systemClock, rootSecret })
    if (isStopped()) return 0
    const server = await startServer({
      settings: settled,
      log,
      databaseUrl,
      rootSecret,
      ...(authServer === undefined ? {} : { authServer }),
    })
    const worker = await startWorker({ log, clock: systemClock, settings: settled, databaseUrl, rootSecret })
    stops.unshift((withinMs) => Promise.all([server.stop(), worker.stop(withinMs)]))
    await Promise.race([server.started, stopped])
    const address = addressOf(settled.BASE_URL, server.issuers())
    const isElsewhere = address !== settled.BASE_URL
    keepUpState(dataDir, {
      pid: process.pid,
      server: address,
      connect: reachable(server.address),
      ...(isElsewhere ? { port: server.port } : {}),
      databaseUrl,
      embedded,
    })
    stops.unshift(() => dropUpState(dataDir))
    lock.setNote(`${address}, process ${process.pid}`)
    const running = demo && !isStopped() ? await startDemo({ settings: settled, log, connect: reachable(server.address) }) : undefined
    if (running) stops.unshift(() => running.stop())
    if (!isStopped()) {
      say('')
      say(`Signet is ready (${((performance.now() - began) / 1_000).toFixed(1)} s).`)
      say('')
      say(`  Address    ${address}`)
      if (isElsewhere)
        say(
          `             No AuthServer is at ${settled.BASE_URL} (BASE_URL), which answers 421: start with BASE_URL and PORT as they were, or apply an AuthServer with that issuerUrl.`,
        )
      say('  User       admin')
      if (first.password) say(`  Password   ${first.password.reveal()}   (shown this once; change it at ${address}/account/password)`)
      else if (first.made) say('  Password   the one in SIGNET_BOOTSTRAP_PASSWORD')
      if (running) say(`  Demo       ${running.address}`)
      say('')
      say('Ctrl-C stops it.')
    }
    const signal = await Promise.race([stopped, server.loaded.then(() => stopped)])
    log.info({ event: 'up.stopping', signal }, 'stopping')
    return 0
  } finally {
    const until = Date.now() + stopWithinMs
    for (const stop of stops) {
      const left = Math.max(until - Date.now(), 500)
      try {
        const late = sleep(left + 500, undefined, { ref: false }).then(() => {
          throw new Error('it did not stop in time')
        })
        await Promise.race([stop(left), late])
      } catch (error) {
        log.error({ event: 'up.stop_failed', error: (error as Error).message }, 'a part did not stop cleanly')
      }
    }
  }
}

export const command: Command = {
  usage: `[--demo] [--auth-server NAMESPACE/NAME] [--port N] [--SETTING VALUE …]

Server and worker in one process, with an embedded PostgreSQL in DATA_DIR unless DATABASE_URL names another.
The first start makes the user admin and prints the password.

  --demo                         also start a small application that signs people in, on DEMO_PORT (9001)
  --auth-server NAMESPACE/NAME   answer for this AuthServer only`,
  run: async (args, env) => {
    const { settings, own } = parseProcessFlags(args, { demo: { type: 'boolean' }, 'auth-server': { type: 'string' } })
    return run(readSettings(env, settings, serverFolders), {
      demo: own.demo === true,
      ...(own['auth-server'] === undefined ? {} : { authServer: own['auth-server'] }),
    })
  },
}
