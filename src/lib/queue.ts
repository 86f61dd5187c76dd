import { type Db, sql } from './sql.ts'

export interface TaskOptions {
  /** Not before. Default: at once. */
  runAt?: Date
  /** A task of the same key that waits is replaced by this one. */
  key?: string
  /** Tasks of one queue run one after another. */
  queue?: string
  /** Tries, the first included. */
  maxAttempts?: number
}

/** Queues a task in the transaction that needs it: it runs if that commits, and only then. Answers its id. */
export const addTask = async (
  db: Db,
  name: string,
  payload: object,
  { runAt, key, queue, maxAttempts }: TaskOptions = {},
): Promise<string> => {
  const { id } = await db.one<{ id: string }>(sql`
    select id
      from graphile_worker.add_job(
             ${name}, payload => ${JSON.stringify(payload)}::json, queue_name => ${queue ?? null}, run_at => ${runAt ?? null}::timestamptz,
             max_attempts => ${maxAttempts ?? null}::int, job_key => ${key ?? null})`)
  return id
}
