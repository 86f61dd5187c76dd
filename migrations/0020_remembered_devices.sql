-- Devices on which a person has proven a second factor and that they asked to be remembered. Adds a column whose default is a constant: locks
-- sessions for an instant.

create table remembered_devices (
  device_id    uuid primary key,
  -- SHA-256 of the cookie's value, which is nowhere else.
  token_hash   bytea not null unique check (octet_length(token_hash) = 32),
  user_id      uuid not null references users (user_id) on delete cascade,
  issuer       text not null check (char_length(issuer) <= 2048),
  -- Type of the factor that was proven.
  factor       text not null check (char_length(factor) <= 32),
  user_agent   text check (char_length(user_agent) <= 400),
  created_at   timestamptz not null,
  last_used_at timestamptz,
  expires_at   timestamptz not null
);
create index remembered_devices_user_id_idx on remembered_devices (user_id, created_at);
create index remembered_devices_expires_at_idx on remembered_devices (expires_at);

-- A second factor was not asked for in this session, since the device was remembered.
alter table sessions add column factor_spared boolean not null default false;
