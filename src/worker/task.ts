import type { Clock } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import type { Secret } from '#/lib/secret.ts'
import type { Database } from '#/lib/sql.ts'
import type { Snapshot } from '#/resources/snapshot.ts'
import type { Post } from './post.ts'

export interface TaskDeps {
  db: Database
  log: Log
  clock: Clock
  settings: Settings
  rootSecret: Secret
  /** Opened when the first task asks for it: a worker that never does keeps no configuration in memory. */
  snapshot: () => Promise<Snapshot>
  /** Opened when the first mail is sent. */
  post: () => Promise<Post>
}

/** Another try would end as this one did: the task goes to the dead letters at once. */
export class PermanentFailure extends Error {}

/**
 * A task may run twice: when its process is killed, another begins it anew. So it is written to be repeated. It throws when it
 * failed, and is tried again later. What it answers goes into the log.
 */
export type Task = (deps: TaskDeps, payload: unknown, signal: AbortSignal) => Promise<Record<string, number | string> | undefined>
