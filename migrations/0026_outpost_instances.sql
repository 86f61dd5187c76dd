-- Which processes of outposts that run by themselves are connected, or were lately. Makes a new table; locks nothing that exists.

create table outpost_instances (
  -- Chosen by the process when it starts.
  instance_id  uuid primary key,
  -- Of the Outpost that it is.
  namespace    text not null,
  name         text not null,
  hostname     text not null check (char_length(hostname) <= 255),
  version      text not null check (char_length(version) <= 100),
  network      text not null check (char_length(network) <= 100),
  -- The stream it has now: of two that a broken network leaves, the older one ends.
  stream_id    uuid not null,
  -- Of the configuration that it works by.
  generation   text check (char_length(generation) <= 30),
  connected_at timestamptz not null,
  seen_at      timestamptz not null,
  -- Null: its stream did not end, as far as anyone could say.
  left_at      timestamptz
);
create index outpost_instances_name_idx on outpost_instances (namespace, name, seen_at);
create index outpost_instances_seen_at_idx on outpost_instances (seen_at);
