-- Hashes of earlier passwords, where the rules of a UserStore forbid to take them again. Makes a new table only; locks nothing that is in use.

create table password_history (
  user_id    uuid not null references users (user_id) on delete cascade,
  -- As it stood in `passwords`.
  hash       text not null check (char_length(hash) between 1 and 1024),
  -- When that was set.
  changed_at timestamptz not null,
  -- When another took its place: the order in which they are forgotten.
  ended_at   timestamptz not null,
  entry_id   bigint generated always as identity,
  primary key (user_id, entry_id)
);
