-- Audit events, a partition a month. Makes new tables only; locks nothing that is in use.

create table events (
  -- Version 7: ids follow time.
  event_id    uuid not null,
  time        timestamptz not null,
  action      text collate "C" not null check (char_length(action) between 1 and 100),
  severity    text not null check (severity in ('info', 'warning', 'error')),
  actor       text not null check (char_length(actor) between 1 and 500),
  target_kind text check (char_length(target_kind) <= 100),
  target_name text check (char_length(target_name) <= 1000),
  client      text check (char_length(client) <= 300),
  network     text check (char_length(network) <= 64),
  request_id  text check (char_length(request_id) <= 200),
  changes     jsonb,
  data        jsonb,
  primary key (time, event_id)
) partition by range (time);

create index events_action_idx on events (action, time, event_id);
create index events_target_idx on events (target_kind, target_name, time) where target_kind is not null;

-- Holds what no month's partition was made for in time: a change never fails for want of a partition.
create table events_default partition of events default;

-- Makes the partitions of `first_month` and of `months` after it, and moves into them what the default one holds of these months.
-- Locks events for the moment in which a partition is added.
create function create_event_partitions(first_month date, months integer) returns integer language plpgsql as $$
declare
  begins timestamptz;
  ends timestamptz;
  partition text;
  made integer := 0;
begin
  for i in 0..months loop
    begins := (date_trunc('month', first_month::timestamp) + make_interval(months => i)) at time zone 'UTC';
    ends := (date_trunc('month', first_month::timestamp) + make_interval(months => i + 1)) at time zone 'UTC';
    partition := 'events_' || to_char(begins at time zone 'UTC', 'YYYY_MM');
    if to_regclass(partition) is not null then continue; end if;
    execute format('create table %I (like events including defaults including constraints)', partition);
    execute format('with moved as (delete from events_default where time >= %L and time < %L returning *) insert into %I select * from moved', begins, ends, partition);
    execute format('alter table events attach partition %I for values from (%L) to (%L)', partition, begins, ends);
    made := made + 1;
  end loop;
  return made;
end $$;

-- Removes the months that ended before `keep_from`; answers their names.
create function drop_event_partitions(keep_from timestamptz) returns text[] language plpgsql as $$
declare
  partition text;
  dropped text[] := '{}';
begin
  for partition in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'events'::regclass and c.relname ~ '^events_\d{4}_\d{2}$'
     order by c.relname
  loop
    if (to_date(substr(partition, 8), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= keep_from then
      execute format('drop table %I', partition);
      dropped := dropped || partition;
    end if;
  end loop;
  delete from events_default where time < keep_from;
  return dropped;
end $$;

select create_event_partitions(current_date, 3);
