-- Users, groups, passwords and sessions, laid out for ten million users. Makes new tables only; locks nothing that is in use.
--
-- Names are compared by keys that the program folds (Unicode, without regard to case), not by lower(): what that does depends on the
-- locale of the cluster. Keys and texts that are searched or walked in order are `collate "C"` for the same reason.

create extension if not exists pg_trgm;

create table users (
  user_id          uuid primary key,
  namespace        text not null check (char_length(namespace) between 1 and 63),
  resource_name    text not null check (char_length(resource_name) between 1 and 253),
  username         text not null check (char_length(username) between 1 and 255),
  username_key     text collate "C" not null check (char_length(username_key) between 1 and 1020),
  email            text check (char_length(email) between 3 and 320),
  email_key        text collate "C" check (char_length(email_key) between 3 and 1300),
  email_verified   boolean not null default false,
  name             text check (char_length(name) between 1 and 255),
  locale           text check (char_length(locale) between 2 and 35),
  active           boolean not null default true,
  -- A program's user: it has no password and never signs in through pages.
  service_account  boolean not null default false,
  attributes       jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
  labels           jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
  annotations      jsonb not null default '{}' check (jsonb_typeof(annotations) = 'object'),
  generation       bigint not null default 1,
  resource_version bigint not null default nextval('resource_version'),
  -- username, email and name in the form of src/identity/search_text.ts: ASCII letters and digits whatever the script, so that trigrams exist in every locale.
  search_text      text collate "C" not null,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  constraint users_username_key unique (username_key),
  constraint users_email_key unique (email_key),
  constraint users_resource_key unique (namespace, resource_name),
  check ((email is null) = (email_key is null))
);

-- Searches read the list of rows not yet sorted in: it is kept short.
create index users_search_idx on users using gin (search_text gin_trgm_ops) with (gin_pending_list_limit = 256);
-- How a search is best done depends on how many it finds: src/identity/user_search.ts asks the planner.
alter table users alter column search_text set statistics 500;
-- Only users that came from manifests have labels.
create index users_labels_idx on users using gin (labels jsonb_path_ops) where labels <> '{}';

create table groups (
  group_id         uuid primary key,
  namespace        text not null check (char_length(namespace) between 1 and 63),
  resource_name    text not null check (char_length(resource_name) between 1 and 253),
  name             text not null check (char_length(name) between 1 and 255),
  name_key         text collate "C" not null check (char_length(name_key) between 1 and 1020),
  attributes       jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
  labels           jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
  annotations      jsonb not null default '{}' check (jsonb_typeof(annotations) = 'object'),
  generation       bigint not null default 1,
  resource_version bigint not null default nextval('resource_version'),
  search_text      text collate "C" not null,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  constraint groups_name_key unique (name_key),
  constraint groups_resource_key unique (namespace, resource_name)
);

create index groups_search_idx on groups using gin (search_text gin_trgm_ops);
create index groups_labels_idx on groups using gin (labels jsonb_path_ops) where labels <> '{}';

create table group_members (
  group_id uuid not null references groups (group_id) on delete cascade,
  user_id  uuid not null references users (user_id) on delete cascade,
  primary key (group_id, user_id)
);

create index group_members_user_id_idx on group_members (user_id, group_id);

-- A member of group_id is a member of parent_id too. Acyclic and of bounded depth: src/identity/groups.ts checks under a lock.
create table group_parents (
  group_id  uuid not null references groups (group_id) on delete cascade,
  parent_id uuid not null references groups (group_id) on delete cascade,
  primary key (group_id, parent_id),
  check (group_id <> parent_id)
);

create index group_parents_parent_id_idx on group_parents (parent_id, group_id);

create table passwords (
  user_id    uuid primary key references users (user_id) on delete cascade,
  -- A PHC string, or what another system wrote; src/identity/schemes/ says which.
  hash       text not null check (char_length(hash) between 1 and 1024),
  changed_at timestamptz not null
);

-- One session for everything: portal, OpenID, and later SAML and outposts. Rows of it change often in columns without an index.
create table sessions (
  uid          text primary key check (char_length(uid) between 1 and 100),
  -- SHA-256 of the cookie's value, which is nowhere else.
  token_hash   bytea not null check (octet_length(token_hash) = 32),
  user_id      uuid references users (user_id) on delete cascade,
  issuer       text check (char_length(issuer) <= 2048),
  payload      jsonb not null default '{}' check (jsonb_typeof(payload) = 'object'),
  user_agent   text check (char_length(user_agent) <= 400),
  network      text check (char_length(network) <= 64),
  created_at   timestamptz not null,
  last_used_at timestamptz not null,
  expires_at   timestamptz not null,
  constraint sessions_token_hash_key unique (token_hash)
) with (fillfactor = 80);

create index sessions_user_id_idx on sessions (user_id, created_at, uid);
create index sessions_expires_at_idx on sessions (expires_at);

-- A user as it is shown: with the names of the groups that it is in by itself.
create view users_shown as
  select u.*,
         array(select g.name
                 from group_members m
                 join groups g on g.group_id = m.group_id
                where m.user_id = u.user_id
                order by g.name_key) as groups
    from users u;

-- A group as it is shown, but for its members, of which each statement says how many it wants.
create view groups_shown as
  select g.*,
         array(select parent.name
                 from group_parents p
                 join groups parent on parent.group_id = p.parent_id
                where p.group_id = g.group_id
                order by parent.name_key) as parents
    from groups g;

create view group_members_shown as
  select m.group_id, m.user_id, u.username
    from group_members m
    join users u on u.user_id = m.user_id;
