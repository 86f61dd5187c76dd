import type { PageRenderer } from '#/flow/pages.ts'
import type { PasswordHasher } from '#/identity/passwords.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import type { Snapshot } from '#/resources/snapshot.ts'

export interface PortalDeps {
  db: Db
  log: Log
  clock: Clock
  passwords: PasswordHasher
  pages: PageRenderer
  snapshot: Snapshot
  settings: Pick<Settings, 'SMTP_URL' | 'MAIL_FROM'>
  rootSecret: Secret
}
