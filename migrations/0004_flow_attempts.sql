-- Attempts to pass a flow, and the wrong passwords that lock a name or a network out for a while. Locks nothing that is in use: new tables only.

create table flow_attempts (
  -- SHA-256 of the attempt's id, and of the cookie of the browser it belongs to.
  attempt_hash bytea primary key check (octet_length(attempt_hash) = 32),
  browser_hash bytea not null check (octet_length(browser_hash) = 32),
  issuer text not null,
  flow_name text not null,
  -- What the one who began it calls it: an interaction's uid. Absent: begun by the person.
  reference text,
  next text not null,
  state text not null default 'running' check (state in ('running', 'passed', 'denied')),
  reason text,
  -- Place of the current stage in the flow.
  stage_index integer not null default 0,
  -- Each move raises it, and a move names the version it moves from: two posts at once cannot both win.
  version integer not null default 0,
  context jsonb not null,
  facts jsonb not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index flow_attempts_reference on flow_attempts (reference) where reference is not null;
create index flow_attempts_expires_at on flow_attempts (expires_at);

create table failed_sign_ins (
  -- SHA-256 of what is counted: a name as typed, or a network. At most as many times as the limit of its kind are kept.
  key bytea primary key check (octet_length(key) = 32),
  failed_at timestamptz[] not null,
  last_failed_at timestamptz not null
);
create index failed_sign_ins_last_failed_at on failed_sign_ins (last_failed_at);
