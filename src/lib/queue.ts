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

/** Called by the worker that runs it: when it fails now, it has no tries left and stays as a dead letter. */
export const giveUpTask = (db: Db, id: string): Promise<number> =>
  db.run(sql`update graphile_worker._private_jobs set max_attempts = attempts where id = ${id}::bigint and attempts > 0`)

/** Dead letters that nobody has looked after since then. */
export const purgeDeadTasks = (db: Db, before: Date, rows: number): Promise<number> =>
  db.run(sql`
    delete from graphile_worker._private_jobs
     where id in (select id
                    from graphile_worker._private_jobs
                   where attempts >= max_attempts and locked_at is null and updated_at < ${before}
                   limit ${rows}
                     for update skip locked)`)
