import { createToken, unlimited } from '#/identity/api_tokens.ts'
import { openPasswordHasher } from '#/identity/passwords.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Secret } from '#/lib/secret.ts'
import { openDatabase } from '#/lib/sql.ts'
import { applyFirstStart, type FirstStart } from '#/resources/first_start.ts'
import { findOwnerToken, keepOwnerToken } from './data_dir.ts'

export interface FirstStartOptions {
  settings: Settings
  databaseUrl: string
  dataDir: string
  clock: Clock
  rootSecret: Secret
}

/** Makes what the first start makes, and sees to it that the owner of DATA_DIR has a token for the command line. Nothing happens the second time. */
export const firstStart = async ({ settings, databaseUrl, dataDir, clock, rootSecret }: FirstStartOptions): Promise<FirstStart> => {
  const db = openDatabase({ url: databaseUrl, max: 2 })
  const passwords = openPasswordHasher({ breachedPasswordsDir: settings.BREACHED_PASSWORDS_DIR })
  try {
    const first = await applyFirstStart({ db, rootSecret, passwords, settings }, clock())
    // In a new database the token of the folder is made anew; one that was revoked since stays revoked.
    const known = findOwnerToken(dataDir)
    if (first.made || !known) {
      const { token } = await createToken(
        db,
        { name: 'owner', user_id: null, scope: unlimited, expires_at: null, ...(known ? { token: known } : {}) },
        clock(),
      )
      keepOwnerToken(dataDir, token)
    }
    return first
  } finally {
    await passwords.close()
    await db.close()
  }
}
