import type { Change } from '#/identity/change.ts'
import type { Page, PageRequest } from '#/identity/page.ts'
import type { KindName } from '#/kinds/index.ts'
import type { Kind, Resource } from '#/kinds/kind.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Db } from '#/lib/sql.ts'
import type { Desired } from '../check.ts'

export interface Stored {
  resource: Resource
  /** Of a user or group. */
  id: string | undefined
}

export interface StoreContext {
  rootSecret: Secret
  /** Where our REST has to stay reachable; absent: anywhere. */
  baseUrl?: string | undefined
  change: Change
  now: Date
  /** Users that another document of the same batch makes and puts into a group by itself. */
  joining?: ReadonlyMap<string, ReadonlySet<string>> | undefined
}

export interface StoreListRequest extends PageRequest {
  /** Absent: of all namespaces. */
  namespace?: string | undefined
  /** All of them must be there. */
  labels?: Record<string, string> | undefined
}

/** Where resources of a kind live. All of it happens in the caller's transaction; what cannot be is refused by a Problem. */
export interface ResourceStore {
  /** Taken before the resource is looked at, so that nobody changes it in between. */
  lock(db: Db): Promise<void>
  find(db: Db, kind: Kind<KindName>, namespace: string, name: string): Promise<Stored | undefined>
  list(db: Db, kind: Kind<KindName>, request: StoreListRequest): Promise<Page<Stored>>
  /** Creates when nothing is stored, else replaces. The same resourceVersion as before: nothing was to be changed. */
  write(db: Db, desired: Desired, stored: Stored | undefined, context: StoreContext): Promise<Stored>
  remove(db: Db, stored: Stored, context: StoreContext): Promise<void>
}
