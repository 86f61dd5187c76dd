import { type Db, sql } from '#/lib/sql.ts'

export interface WorkerProcess {
  process_id: string
  worker_ids: string[]
  /** As text: a bigint. */
  beat: string
}

/** Says that a process lives, and under which names it locks tasks. */
export const beatWorkerProcess = (db: Db, process_id: string, worker_ids: string[]) =>
  db.run(sql`
    insert into worker_processes as w (process_id, worker_ids)
    values (${process_id}, ${worker_ids})
    on conflict (process_id) do update
       set worker_ids = excluded.worker_ids, beat = w.beat + 1`)

export const listWorkerProcesses = (db: Db) => db.any<WorkerProcess>(sql`select process_id, worker_ids, beat from worker_processes`)

/** Zero when another took it away, or it has moved since. */
export const deleteWorkerProcess = (db: Db, process_id: string, beat: string) =>
  db.run(sql`delete from worker_processes where process_id = ${process_id} and beat = ${beat}`)

export const leaveWorkerProcesses = (db: Db, process_id: string) =>
  db.run(sql`delete from worker_processes where process_id = ${process_id}`)

/** Frees what these workers had locked: it runs again, at once. Also what locks of unknown processes hold, which have no row here. */
export const unlockTasks = (db: Db, worker_ids: string[]) => db.run(sql`select graphile_worker.force_unlock_workers(${worker_ids})`)

/** Names that hold locks and belong to no process that is known. */
export const listOrphanedWorkers = (db: Db) =>
  db.any<{ worker_id: string }>(sql`
    select distinct locked_by as worker_id
      from graphile_worker._private_jobs
     where locked_by is not null
       and not exists (select from worker_processes where locked_by = any (worker_ids))`)
