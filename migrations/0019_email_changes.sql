-- A change of e-mail address that waits for its mailboxes to agree: one a person. Makes a new table only; locks nothing that is in use.

create table email_changes (
  user_id          uuid primary key references users (user_id) on delete cascade,
  -- Its codes are no other change's.
  email_change_id  uuid not null unique,
  new_email        text not null check (char_length(new_email) between 3 and 320),
  -- What it was when the change was asked for.
  old_email        text check (char_length(old_email) between 3 and 320),
  -- HMAC under a key of the root secret.
  new_code_hash    bytea not null check (octet_length(new_code_hash) = 32),
  -- Null: the old address was never confirmed, so it has nothing to say.
  old_code_hash    bytea check (octet_length(old_code_hash) = 32),
  new_confirmed_at timestamptz,
  old_confirmed_at timestamptz,
  attempts_left    smallint not null check (attempts_left >= 0),
  created_at       timestamptz not null,
  expires_at       timestamptz not null check (expires_at > created_at)
);

create index email_changes_expires_at_idx on email_changes (expires_at);
