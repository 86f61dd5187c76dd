/**
 * Tasks of a killed worker are taken over within a minute. Each worker process counts up a number of its own; one that another
 * process sees standing still for long enough is dead, and what it had locked is freed. What is compared is how long the watcher
 * itself has watched, so a PostgreSQL that was away, or clocks that differ, kill nobody. graphile-worker alone would wait four hours.
 */
import type { Database } from '#/lib/sql.ts'
import {
  beatWorkerProcess,
  deleteWorkerProcess,
  leaveWorkerProcesses,
  listOrphanedWorkers,
  listWorkerProcesses,
  unlockTasks,
  type WorkerProcess,
} from '#/model/worker_processes.ts'

export const beatEveryMs = 5_000
/** Beats missed in a row before a process counts as dead. With the interval: freed after 35 s at most. */
const deadAfterMs = 25_000

export interface Watched {
  beat: string
  /** Milliseconds of the watcher's own time. */
  since: number
}

/** Which processes have stood still for too long, and what is known for the next look. Pure. */
export const planTakeover = (
  processes: readonly WorkerProcess[],
  { self, watched, now }: { self: string; watched: ReadonlyMap<string, Watched>; now: number },
): { dead: WorkerProcess[]; watched: Map<string, Watched> } => {
  const next = new Map<string, Watched>()
  const dead: WorkerProcess[] = []
  for (const process of processes) {
    if (process.process_id === self) continue
    const before = watched.get(process.process_id)
    const seen = before && before.beat === process.beat ? before : { beat: process.beat, since: now }
    if (now - seen.since >= deadAfterMs) dead.push(process)
    else next.set(process.process_id, seen)
  }
  return { dead, watched: next }
}

export interface Takeover {
  stop(): Promise<void>
}

export const startTakeover = async (
  db: Database,
  {
    self,
    workerIds,
    onTakeover,
    onError,
  }: {
    self: string
    workerIds: () => string[]
    onTakeover: (workers: string[]) => void
    onError: (error: Error) => void
  },
): Promise<Takeover> => {
  let watched: ReadonlyMap<string, Watched> = new Map()
  let orphans = new Map<string, number>()
  let running: Promise<void> | undefined

  const free = async (ids: string[]) => {
    await unlockTasks(db, ids)
    onTakeover(ids)
  }

  const beat = async (): Promise<void> => {
    try {
      await beatWorkerProcess(db, self, workerIds())
      const now = performance.now()
      const plan = planTakeover(await listWorkerProcesses(db), { self, watched, now })
      watched = plan.watched
      for (const process of plan.dead)
        await db.transaction(async (tx) => {
          if (await deleteWorkerProcess(tx, process.process_id, process.beat)) {
            await unlockTasks(tx, process.worker_ids)
            onTakeover(process.worker_ids)
          }
        })
      // A process killed before its first beat has no row; its locks are seen all the same.
      const held = new Map((await listOrphanedWorkers(db)).map(({ worker_id }) => [worker_id, orphans.get(worker_id) ?? now]))
      const lost = [...held].filter(([, since]) => now - since >= deadAfterMs).map(([id]) => id)
      if (lost.length) await free(lost)
      orphans = held
    } catch (error) {
      // Nothing was seen, so nothing is concluded.
      watched = new Map()
      orphans = new Map()
      onError(error as Error)
    }
  }

  await beat()
  const timer = setInterval(() => {
    running ??= beat().finally(() => {
      running = undefined
    })
  }, beatEveryMs)
  return {
    stop: async () => {
      clearInterval(timer)
      await running
      await leaveWorkerProcesses(db, self).catch(onError)
    },
  }
}
