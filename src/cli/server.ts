import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { startServer } from '#/server/server.ts'
import { type Command, parseProcessFlags, serverFolders } from './command.ts'
import { joinDatabase, joinSecret } from './joined.ts'
import { stopSignal } from './stop_signal.ts'

export const command: Command = {
  usage: `[--auth-server NAMESPACE/NAME] [--port N] [--SETTING VALUE …]

Answers requests. Any number may run on one database; it waits, unready, until the database is up to date.
Without DATABASE_URL it joins the signet up that runs on DATA_DIR.

  --auth-server NAMESPACE/NAME   answer for this AuthServer only`,
  run: async (args, env) => {
    const { stopped } = stopSignal()
    const { settings: flags, own } = parseProcessFlags(args, { 'auth-server': { type: 'string' } })
    const { settings, databaseUrl } = await joinDatabase(readSettings(env, flags, serverFolders))
    const log = openLog(settings.LOG_LEVEL)
    const server = await startServer({
      settings,
      log,
      databaseUrl,
      rootSecret: joinSecret(settings),
      ...(own['auth-server'] === undefined ? {} : { authServer: own['auth-server'] }),
    })
    log.info({ event: 'server.listening', port: server.port, metrics_port: server.metricsPort }, `listening on port ${server.port}`)
    try {
      const first = await Promise.race([stopped.then(() => undefined), server.started])
      log.info({ event: 'server.ready' }, 'ready')
      // On its own line and not in the log, which others keep.
      if (first?.password) process.stdout.write(`\nUser admin, password ${first.password.reveal()} (shown this once)\n\n`)
      const signal = await Promise.race([stopped, server.loaded.then(() => stopped)])
      log.info({ event: 'server.stopping', signal }, 'stopping')
    } finally {
      await server.stop()
    }
    return 0
  },
}
