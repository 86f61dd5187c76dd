-- What an attempt keeps beside its facts: sealed, since it may be a secret that is being set up; and a signature over where it stands, so that a row
-- somebody wrote by other ways signs nobody in. Adds columns without a default: locks flow_attempts for an instant.

alter table flow_attempts add column sealed_state bytea;
alter table flow_attempts add column signature bytea check (octet_length(signature) = 32);

-- Which version of the terms a person accepted, and when.
create table accepted_terms (
  user_id     uuid not null references users (user_id) on delete cascade,
  version     text not null check (char_length(version) between 1 and 64),
  accepted_at timestamptz not null,
  primary key (user_id, version)
);

-- Links that were mailed: each works once, and only in the attempt it was sent from or in place of it.
create table mailed_links (
  token_hash   bytea primary key check (octet_length(token_hash) = 32),
  user_id      uuid not null references users (user_id) on delete cascade,
  issuer       text not null check (char_length(issuer) <= 2048),
  flow_name    text not null check (char_length(flow_name) <= 253),
  -- The address whose mailbox it proves.
  email        text not null check (char_length(email) <= 254),
  expires_at   timestamptz not null,
  consumed_at  timestamptz
);
create index mailed_links_user_id_idx on mailed_links (user_id);
create index mailed_links_expires_at_idx on mailed_links (expires_at);
