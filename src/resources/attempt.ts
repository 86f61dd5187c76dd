/** What the functions that change resources are given and tell. */

import type { Change } from '#/identity/change.ts'
import type { KindName } from '#/kinds/index.ts'
import type { Resource } from '#/kinds/kind.ts'
import type { Settings } from '#/lib/config.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import type { Snapshot } from './snapshot.ts'

export interface ResourceDeps {
  db: Db
  /** Secrets of clients are sealed with it. */
  rootSecret: Secret
  /** BASE_URL is where our REST has to stay reachable. */
  settings?: Pick<Settings, 'BASE_URL'> | undefined
  /** Brought up to date after a change, so that who made it sees it. */
  snapshot?: Pick<Snapshot, 'refresh'> | undefined
}

export interface Attempt {
  /** `before` nothing was written yet; `after` it was, in the same transaction, and can still be taken back. */
  phase: 'before' | 'after'
  verb: 'create' | 'update' | 'delete'
  kind: KindName
  namespace: string
  name: string
  before: Resource | undefined
  after: Resource | undefined
  /** Of a user or group, when there is one. */
  id: string | undefined
}

/** Asked for each change inside its transaction; it refuses by throwing a Problem. */
export type Guard = (db: Db, attempt: Attempt) => Promise<void> | void

export interface ResourceChange extends Change {
  guard?: Guard | undefined
}
