import type { PasswordHasher } from '#/identity/passwords.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Database } from '#/lib/sql.ts'
import type { Feed } from '#/outpost/feed.ts'
import type { Snapshot } from '#/resources/snapshot.ts'

export interface ApiDeps {
  db: Database
  log: Log
  clock: Clock
  settings: Settings
  snapshot: Snapshot
  rootSecret: Secret
  passwords: PasswordHasher
  /** What outposts are told; opened when it is first asked for. */
  feed: () => Promise<Feed>
  /** Aborted when the server stops: answers that would go on for ever end. */
  stopping: AbortSignal
}
