-- Invitations to enroll, each used once. Makes a new table only; locks nothing that is in use.

create table invitations (
  invitation_id      uuid primary key,
  -- SHA-256 of the token in its address, which is nowhere else.
  token_hash         bytea not null unique check (octet_length(token_hash) = 32),
  -- Where it may be used: at this issuer, in this flow.
  issuer             text not null check (char_length(issuer) between 1 and 2048),
  flow_name          text not null check (char_length(flow_name) between 1 and 253),
  -- What the person who follows it can not choose. Null: they can.
  email              text check (char_length(email) between 3 and 320),
  name               text check (char_length(name) between 1 and 255),
  locale             text check (char_length(locale) between 2 and 35),
  -- By id: another group that takes the name of a deleted one is not what was meant.
  group_ids          uuid[] not null default '{}' check (cardinality(group_ids) <= 1000),
  created_by         text not null,
  -- Null: a token that belongs to nobody.
  created_by_user_id uuid references users (user_id) on delete cascade,
  created_at         timestamptz not null,
  expires_at         timestamptz not null check (expires_at > created_at),
  consumed_at        timestamptz
);

create index invitations_created_by_user_id_idx on invitations (created_by_user_id);
create index invitations_expires_at_idx on invitations (expires_at);

-- An invitation as it is shown: with the names of its groups that are there, and who made it as they are now.
create view invitations_shown as
  select i.*,
         array(select g.name from groups g where g.group_id = any(i.group_ids) order by g.name_key) as groups,
         u.username as creator_username,
         (i.created_by_user_id is null or u.active) as creator_is_active
    from invitations i
    left join users u on u.user_id = i.created_by_user_id;
