-- API tokens: what programs and people send as Bearer. Stored as SHA-256, shown once. Makes new tables only; locks nothing that is in use.

create table api_tokens (
  token_id     uuid primary key,
  token_hash   bytea not null unique check (octet_length(token_hash) = 32),
  name         text not null check (char_length(name) between 1 and 200),
  -- Whose rights bound it. Null: made by the program itself at the first start, or by such a token; its scope alone decides.
  user_id      uuid references users (user_id) on delete cascade,
  scope        jsonb not null,
  created_at   timestamptz not null,
  expires_at   timestamptz check (expires_at > created_at),
  last_used_at timestamptz
);

create index api_tokens_user_id_idx on api_tokens (user_id);
create index api_tokens_expires_at_idx on api_tokens (expires_at) where expires_at is not null;
