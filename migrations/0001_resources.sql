-- Configuration resources and the secrets of clients. Makes new tables only; locks nothing that is in use.

-- One counter for every version handed out, so that a thing deleted and made again never shows an old version.
create sequence resource_version;

-- One row: who changes configuration locks it first, so that changes are in the order of their versions and each sees the one before.
create table configuration (
  id         boolean primary key default true check (id),
  -- Version of the last change, deletions included.
  generation bigint not null,
  -- When the first start made what it makes, once for all servers.
  first_started_at timestamptz
);
insert into configuration (generation) values (0);

create table resources (
  kind              text not null check (char_length(kind) between 1 and 63),
  namespace         text not null check (char_length(namespace) between 1 and 63),
  name              text not null check (char_length(name) between 1 and 253),
  labels            jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
  annotations       jsonb not null default '{}' check (jsonb_typeof(annotations) = 'object'),
  -- As it was written, without defaults.
  spec              jsonb not null check (jsonb_typeof(spec) = 'object'),
  -- What is in force: spec, or while spec.paused holds what was in force before. Null: nothing ever was.
  active_spec       jsonb check (jsonb_typeof(active_spec) = 'object'),
  active_generation bigint,
  status            jsonb not null default '{}' check (jsonb_typeof(status) = 'object'),
  generation        bigint not null default 1,
  resource_version  bigint not null default nextval('resource_version'),
  -- Which was first: of two that claim the same issuer or client_id, the older one keeps it.
  created_version   bigint not null default nextval('resource_version'),
  created_at        timestamptz not null,
  updated_at        timestamptz not null,
  primary key (kind, namespace, name)
);

create index resources_labels_idx on resources using gin (labels jsonb_path_ops) where labels <> '{}';

-- Every server hears of a change when it is committed.
create function resources_changed() returns trigger language plpgsql as $$
begin
  update configuration set generation = nextval('resource_version');
  perform pg_notify('resources', '');
  return null;
end $$;

create trigger resources_changed after insert or update or delete on resources
  for each statement execute function resources_changed();

-- Secrets of clients, encrypted: they are shown to whoever configures the client, and client_secret_jwt is checked with them.
create table client_credentials (
  credential_id uuid primary key,
  client_kind   text not null default 'AuthClient' check (client_kind = 'AuthClient'),
  namespace     text not null,
  name          text not null,
  sealed_secret bytea not null check (octet_length(sealed_secret) between 30 and 1024),
  created_at    timestamptz not null,
  -- Null: the one in use. A time: replaced, and valid until then.
  expires_at    timestamptz,
  foreign key (client_kind, namespace, name) references resources (kind, namespace, name) on delete cascade
);

create index client_credentials_client_idx on client_credentials (client_kind, namespace, name, created_at desc);
-- At most one in use.
create unique index client_credentials_current_key on client_credentials (namespace, name) where expires_at is null;
create index client_credentials_expires_at_idx on client_credentials (expires_at) where expires_at is not null;
