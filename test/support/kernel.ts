/** A migrated database with what the first start makes, its snapshot, and what the functions of src/resources/ want. */
import { openPasswordHasher } from '#/identity/passwords.ts'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import type { Database } from '#/lib/sql.ts'
import { applyFirstStart } from '#/resources/first_start.ts'
import { openSnapshot, type Snapshot } from '#/resources/snapshot.ts'
import { freshDatabase } from './database.ts'

export interface Kernel {
  db: Database
  url: string
  rootSecret: Secret
  snapshot: Snapshot
  drop(): Promise<void>
}

export const issuerUrl = 'https://sign-in.example.com'
export const firstPassword = 'correct horse battery staple'

export const openKernel = async (now: Date): Promise<Kernel> => {
  const { db, url, drop } = await freshDatabase()
  const rootSecret = new Secret('a root secret of the tests, long enough to be one')
  const passwords = openPasswordHasher()
  const settings = { BASE_URL: issuerUrl, BOOTSTRAP_PASSWORD: new Secret(firstPassword), BOOTSTRAP_TOKEN: undefined }
  await applyFirstStart({ db, rootSecret, passwords, settings }, now)
  await passwords.close()
  const snapshot = await openSnapshot({ db, log: openLog('silent') })
  return {
    db,
    url,
    rootSecret,
    snapshot,
    drop: async () => {
      snapshot.close()
      await drop()
    },
  }
}
