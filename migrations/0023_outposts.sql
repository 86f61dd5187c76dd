-- What outposts must hear of: sessions that ended, and people who changed.
-- Makes a new table, replaces a function, and makes a trigger on users: that locks users against writing for an instant.

create table outpost_endings (
  ending_id bigint generated always as identity primary key,
  issuer    text not null,
  sid       text not null,
  ended_at  timestamptz not null
);
create index outpost_endings_ended_at_idx on outpost_endings (ended_at);

create or replace function sessions_ended() returns trigger language plpgsql as $$
declare
  told integer;
begin
  if old.user_id is null or old.issuer is null or jsonb_typeof(old.payload -> 'authorizations') is distinct from 'object' then
    return null;
  end if;
  delete from grants g
   using jsonb_each(old.payload -> 'authorizations') a
   where g.grant_id = a.value ->> 'grantId'
     and not coalesce((a.value ->> 'persistsLogout')::boolean, false);
  insert into backchannel_logouts (issuer, client_id, user_id, sid, next_try_at)
  select old.issuer, a.key, old.user_id, a.value ->> 'sid', now()
    from jsonb_each(old.payload -> 'authorizations') a
   where a.value ->> 'sid' is not null
     and not starts_with(a.key, 'outpost.signet/')
  on conflict do nothing;
  get diagnostics told = row_count;
  if told > 0 then
    perform pg_notify('backchannel_logouts', '');
  end if;
  insert into outpost_endings (issuer, sid, ended_at)
  select old.issuer, a.value ->> 'sid', now()
    from jsonb_each(old.payload -> 'authorizations') a
   where a.value ->> 'sid' is not null
     and starts_with(a.key, 'outpost.signet/');
  get diagnostics told = row_count;
  if told > 0 then
    perform pg_notify('outposts', '');
  end if;
  return null;
end
$$;

-- Of a change of many at once it is only told that there was one: a notice for each would fill the queue of notices.
create function users_changed() returns trigger language plpgsql as $$
begin
  if (select count(*) from (select from changed limit 101) as few) > 100 then
    perform pg_notify('people', '*');
  else
    perform pg_notify('people', user_id::text) from changed;
  end if;
  return null;
end
$$;
create trigger users_changed after update on users referencing new table as changed for each statement execute function users_changed();
