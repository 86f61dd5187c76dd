-- From which browsers and networks people have signed in, so that they are told of another one. Makes a new table only; locks nothing that is in use.

create table known_devices (
  user_id       uuid not null references users (user_id) on delete cascade,
  -- SHA-256 of what the browser says it is, in words, and of its network.
  device_hash   bytea not null check (octet_length(device_hash) = 32),
  first_seen_at timestamptz not null,
  last_seen_at  timestamptz not null,
  primary key (user_id, device_hash)
);
create index known_devices_last_seen_at_idx on known_devices (last_seen_at);
