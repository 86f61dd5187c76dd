/** What `server`, `worker` and `migrate` need beside the settings: a database and the root secret, their own or those of a running `up`. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Settings } from '#/lib/config.ts'
import { readLock } from '#/lib/process_lock.ts'
import type { Secret } from '#/lib/secret.ts'
import { findSecretKey, findUpState } from './data_dir.ts'

export interface Joined {
  databaseUrl: string
  settings: Settings
}

/** Networks that may be called at an address someone else wrote down, where everything is on one machine. */
const besideEmbedded = ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']

/** Settings with the defaults that depend on where the database is. */
export const settledSettings = (settings: Settings, embedded: boolean): Settings => ({
  ...settings,
  OUTBOUND_ALLOW: settings.OUTBOUND_ALLOW ?? (embedded ? besideEmbedded : []),
})

const upIsComingWithinMs = 60_000

/** The database of the settings, else that of the `up` that runs on the same DATA_DIR, for which it waits while that one starts. */
export const joinDatabase = async (settings: Settings): Promise<Joined> => {
  if (settings.DATABASE_URL) return { databaseUrl: settings.DATABASE_URL.reveal(), settings: settledSettings(settings, false) }
  const until = Date.now() + upIsComingWithinMs
  for (;;) {
    const state = await findUpState(settings.DATA_DIR)
    if (state) return { databaseUrl: state.databaseUrl, settings: settledSettings(settings, state.embedded) }
    if ((await readLock(settings.DATA_DIR)) === undefined || Date.now() > until)
      throw new Error(
        `There is no database: set SIGNET_DATABASE_URL, or start signet up with the same SIGNET_DATA_DIR (${settings.DATA_DIR}) first.`,
      )
    await sleep(100)
  }
}

export const joinSecret = (settings: Settings): Secret => {
  const secret = settings.SECRET_KEY ?? findSecretKey(settings.DATA_DIR)
  if (!secret) throw new Error('There is no root secret: set SIGNET_SECRET_KEY to the one the other processes have.')
  return secret
}
