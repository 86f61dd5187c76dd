import { systemClock } from '#/lib/clock.ts'
import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { startWorker } from '#/worker/worker.ts'
import { type Command, parseProcessFlags } from './command.ts'
import { joinDatabase, joinSecret } from './joined.ts'
import { stopSignal } from './stop_signal.ts'

export const command: Command = {
  usage: `[--SETTING VALUE …]

Does what is queued and what is due: clean-up, rotation of signing keys, and so on. Any number may run on one database.
Without DATABASE_URL it joins the signet up that runs on DATA_DIR.`,
  run: async (args, env) => {
    const { stopped } = stopSignal()
    const { settings: flags } = parseProcessFlags(args, {})
    const { settings, databaseUrl } = await joinDatabase(readSettings(env, flags, ['TEMPLATES_DIR']))
    const log = openLog(settings.LOG_LEVEL)
    const worker = await startWorker({ log, clock: systemClock, settings, databaseUrl, rootSecret: joinSecret(settings) })
    log.info({ event: 'worker.ready' }, 'ready')
    const signal = await stopped
    log.info({ event: 'worker.stopping', signal }, 'stopping')
    await worker.stop()
    return 0
  },
}
