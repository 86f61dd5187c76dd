import type { PageRenderer } from '#/flow/pages.ts'
import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import type { Outbound } from '#/lib/outbound.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Database, Db } from '#/lib/sql.ts'
import type { ResolvedAuthServer, Snapshot } from '#/resources/snapshot.ts'
import type { ApplicationAccess } from './application_access.ts'
import type { Claims } from './claims.ts'
import type { Clients } from './clients.ts'
import type { Keyring } from './keyring.ts'
import type { Offered } from './offered.ts'
import type { PageDeps } from './pages.ts'
import type { StoreDeps } from './stores/store.ts'

export interface OidcDeps {
  db: Database
  log: Log
  clock: Clock
  settings: Pick<Settings, 'OUTBOUND_ALLOW' | 'DATABASE_URL'>
  snapshot: Snapshot
  rootSecret: Secret
  pages: PageRenderer
}

/** Of one AuthServer. */
export interface ProviderDeps extends PageDeps, StoreDeps {
  db: Db
  log: Log
  rootSecret: Secret
  snapshot: Snapshot
  outbound: Outbound
  authServer: ResolvedAuthServer
  keyring: () => Keyring
  clients: Clients
  claims: Claims
  access: ApplicationAccess
  offered: Offered
}
