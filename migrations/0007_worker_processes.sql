-- Which worker processes live, so that the tasks of a killed one are taken over. Locks nothing that exists.

create table worker_processes (
  process_id text primary key check (process_id <> ''),
  -- Names under which its workers lock tasks in graphile_worker.
  worker_ids text[] not null,
  -- Counts up as long as it lives. Others watch whether it moves; no clock of one machine is compared with another's.
  beat       bigint not null default 0
);
