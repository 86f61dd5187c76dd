import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { startOutpostProcess } from '#/server/outpost_process.ts'
import { type Command, parseProcessFlags } from './command.ts'
import { stopSignal } from './stop_signal.ts'

export const command: Command = {
  usage: `--server URL [--outpost NAMESPACE/NAME] [--SETTING VALUE …]

Guards the applications that name this Outpost in proxy.outpostRef, by what the server tells it, and by the last it was told
while the server is away. Needs no database. Any number may run for one Outpost.

  --server URL                where the server is; default: SIGNET_SERVER
  --outpost NAMESPACE/NAME    which Outpost this is; default: SIGNET_OUTPOST, else the only one that the token may be

The token comes in SIGNET_TOKEN, or in the file that SIGNET_TOKEN_FILE names; --token would show it to everyone on the machine.
signet token create NAME --kinds outposts --namespaces NAMESPACE --verbs use makes one.`,
  run: async (args, env) => {
    const { stopped } = stopSignal()
    const { settings: flags } = parseProcessFlags(args, {})
    const settings = readSettings(env, flags, ['CERTS_DIR', 'TEMPLATES_DIR'])
    const { SERVER: server, TOKEN: token } = settings
    if (!server) throw new Error('say where the server is, with --server or SIGNET_SERVER.')
    if (!token) throw new Error('there is no token: give one with SIGNET_TOKEN or SIGNET_TOKEN_FILE.')
    const log = openLog(settings.LOG_LEVEL)
    if (!isSecure(server)) log.warn({ event: 'outpost.line.open', server }, 'keys come over this line, and it is not encrypted')
    const outpost = await startOutpostProcess({ settings, log, server, token })
    log.info({ event: 'outpost.listening', port: outpost.port, metrics_port: outpost.metricsPort }, `listening on port ${outpost.port}`)
    try {
      const signal = await Promise.race([stopped, outpost.refused])
      log.info({ event: 'outpost.stopping', signal }, 'stopping')
    } catch (error) {
      // Its own words are enough.
      throw new Error(`${server} refuses this outpost: ${(error as Error).message}`)
    } finally {
      await outpost.stop()
    }
    return 0
  },
}

/** Encrypted, or on this machine. */
const isSecure = (server: string): boolean => {
  const { protocol, hostname } = new URL(server)
  return protocol === 'https:' || hostname === 'localhost' || hostname.endsWith('.localhost') || /^(?:127\.[\d.]+|\[::1\])$/.test(hostname)
}
