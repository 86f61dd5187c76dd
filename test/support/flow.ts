/** What flows want besides a database: for the tests that stand beside src/flow/. */
import { readSettings } from '#/lib/config.ts'
import { openLog } from '#/lib/log.ts'
import { Secret } from '#/lib/secret.ts'
import type { Database } from '#/lib/sql.ts'
import { openSnapshot } from '#/resources/snapshot.ts'

/** The snapshot is empty, so the flows are those that we ship. Close it at the end. */
export const openFlowDeps = async (db: Database) => ({
  db,
  log: openLog('silent'),
  snapshot: await openSnapshot({ db, log: openLog('silent') }),
  rootSecret: new Secret('a root secret of the tests, long enough to be one'),
  settings: readSettings({}),
})

/** A snapshot without any resource. */
export const noResources = { get: () => undefined }
