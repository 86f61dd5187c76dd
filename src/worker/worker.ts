/** A worker process: takes tasks from the queue, adds those that are due, takes over those of killed workers. graphile-worker does the queue. */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Logger, parseCronItems, type Runner, run, type TaskList, type WorkerEvents } from 'graphile-worker'
import { recordEvent } from '#/events/record.ts'
import { type Clock, parseDuration } from '#/lib/clock.ts'
import type { Settings } from '#/lib/config.ts'
import type { Log } from '#/lib/log.ts'
import { giveUpTask } from '#/lib/queue.ts'
import type { Secret } from '#/lib/secret.ts'
import { openDatabase } from '#/lib/sql.ts'
import { openSnapshot, type Snapshot } from '#/resources/snapshot.ts'
import type { Post } from './post.ts'
import { schedule } from './schedule.ts'
import { startTakeover } from './takeover.ts'
import { PermanentFailure, type Task, type TaskDeps } from './task.ts'
import { tasks } from './tasks/index.ts'

export interface WorkerOptions {
  log: Log
  clock: Clock
  settings: Settings
  databaseUrl: string
  rootSecret: Secret
}

export interface RunningWorker {
  /** Takes nothing more, lets what runs finish; what has not by then runs again elsewhere. */
  stop(withinMs?: number): Promise<void>
}

const concurrency = 4
const pollEveryMs = 2_000
/** Running tasks are asked to stop then, and end soon after. */
const abortAfterMs = 5_000
const againAfterMs = 1_000

const graphileLogger = (log: Log): Logger =>
  new Logger(() => (level, message) => {
    if (level === 'error') log.error({ event: 'worker.queue', detail: message })
    else if (level === 'warning') log.warn({ event: 'worker.queue', detail: message })
    else log.trace({ event: 'worker.queue', detail: message })
  })

/** Nobody tries it again by itself: whoever runs Signet should know. */
const recordLastFailure = (
  { db, log, clock }: TaskDeps,
  { name, id, attempts, reason }: { name: string; id: string; attempts: number; reason: string },
) =>
  recordEvent(
    db,
    {
      action: 'task.failed',
      severity: 'error',
      actor: 'worker',
      target: { kind: 'Task', name: id },
      data: { task: name, attempts, error: reason.slice(0, 500) },
    },
    clock(),
  ).catch((error: Error) => log.error({ event: 'task.failure_unrecorded', 'signet.task_id': id, error: error.message }))

/** Logged once, here: what ran, how long, how it ended. */
const logged =
  (name: string, task: Task, deps: TaskDeps): TaskList[string] =>
  async (payload, helpers) => {
    const began = performance.now()
    const line = {
      'signet.task': name,
      'signet.task_id': helpers.job.id,
      attempt: helpers.job.attempts,
    }
    const duration = () => Math.round((performance.now() - began) * 100) / 100
    try {
      const result = await task(deps, payload, helpers.abortSignal ?? new AbortController().signal)
      deps.log.info({ event: 'task.succeeded', ...line, ...result, duration_ms: duration() })
    } catch (error) {
      const reason = (error as Error).message
      deps.log.error({ event: 'task.failed', ...line, error: reason, duration_ms: duration() })
      const { id, attempts, max_attempts } = helpers.job
      if (error instanceof PermanentFailure) await giveUpTask(deps.db, id)
      if (error instanceof PermanentFailure || attempts >= max_attempts) await recordLastFailure(deps, { name, id, attempts, reason })
      throw error
    }
  }

export const startWorker = async ({ log, clock, settings, databaseUrl, rootSecret }: WorkerOptions): Promise<RunningWorker> => {
  const db = openDatabase({
    url: databaseUrl,
    max: concurrency + 4,
    onError: (error) => log.warn({ event: 'database.connection.lost', error: error.message }, 'a connection to PostgreSQL was lost'),
  })
  let snapshot: Promise<Snapshot> | undefined
  let post: Promise<Post> | undefined
  const deps: TaskDeps = {
    db,
    log,
    clock,
    settings,
    rootSecret,
    snapshot: () => {
      snapshot ??= openSnapshot({ db, log, clock }).catch((error: unknown) => {
        snapshot = undefined
        throw error
      })
      return snapshot
    },
    post: () => {
      post ??= import('./post.ts')
        .then(({ openPost }) => openPost({ db, log, clock, settings }))
        .catch((error: unknown) => {
          post = undefined
          throw error
        })
      return post
    },
  }
  const taskList: TaskList = Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, logged(name, task, deps)]))
  const parsedCronItems = parseCronItems(
    schedule.map(({ task, match, fill }) => ({
      task,
      match,
      options: { backfillPeriod: parseDuration(fill) ?? 0, jobKey: task, maxAttempts: 3 },
    })),
  )
  const workerIds = new Set<string>()
  const events = new EventEmitter() as WorkerEvents
  events.on('worker:create', ({ worker }) => workerIds.add(worker.workerId))
  events.on('worker:release', ({ worker }) => workerIds.delete(worker.workerId))

  let stopping = false
  let runner: Runner | undefined
  const begin = (): Promise<Runner> =>
    run({
      pgPool: db.pool,
      taskList,
      parsedCronItems,
      concurrency,
      pollInterval: pollEveryMs,
      gracefulShutdownAbortTimeout: abortAfterMs,
      noHandleSignals: true,
      logger: graphileLogger(log),
      events,
    })
  /** It ends by itself when PostgreSQL was away for too long; then it begins again. */
  const keep = async (): Promise<void> => {
    while (!stopping) {
      try {
        runner ??= await begin()
        await runner.promise
      } catch (error) {
        if (!stopping) log.warn({ event: 'worker.ended', error: (error as Error).message }, 'the worker begins again')
      }
      runner = undefined
      if (!stopping) await sleep(againAfterMs)
    }
  }

  try {
    runner = await begin()
  } catch (error) {
    await db.close()
    throw error
  }
  const kept = keep()
  const takeover = await startTakeover(db, {
    self: randomUUID(),
    workerIds: () => [...workerIds],
    onTakeover: (workers) => log.warn({ event: 'worker.takeover', workers }, 'tasks of a worker that died are free again'),
    onError: (error) => log.warn({ event: 'worker.beat_failed', error: error.message }),
  })

  return {
    stop: async (withinMs = 8_000) => {
      stopping = true
      const ended = runner?.stop().catch(() => {}) ?? Promise.resolve()
      await Promise.race([Promise.all([ended, kept]), sleep(withinMs, undefined, { ref: false })])
      // A database that hangs holds up nobody's stop: what this says to others they find out by themselves.
      await Promise.race([takeover.stop(), sleep(500, undefined, { ref: false })])
      ;(await snapshot?.catch(() => undefined))?.close()
      ;(await post?.catch(() => undefined))?.close()
      await Promise.race([db.close(), sleep(500, undefined, { ref: false })])
    },
  }
}
