-- Private keys of KeyPairs, encrypted. Makes a new table only; locks nothing that is in use.

create table key_pair_keys (
  kind              text not null default 'KeyPair' check (kind = 'KeyPair'),
  namespace         text not null,
  name              text not null,
  -- SHA-256 of the public key, by which a certificate finds its key: while a KeyPair is paused there are two.
  public_key_sha256 bytea not null check (octet_length(public_key_sha256) = 32),
  sealed_key        bytea not null check (octet_length(sealed_key) between 30 and 32768),
  created_at        timestamptz not null,
  primary key (kind, namespace, name, public_key_sha256),
  foreign key (kind, namespace, name) references resources (kind, namespace, name) on delete cascade
);
