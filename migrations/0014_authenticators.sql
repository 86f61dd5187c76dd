-- Second factors and passkeys, recovery codes, codes sent by mail. Locks nothing that is in use: new tables only.

-- What a person proves themselves with beside the password. At most 25 a person: src/identity/authenticators.ts counts under a lock.
create table authenticators (
  authenticator_id   uuid primary key,
  user_id            uuid not null references users (user_id) on delete cascade,
  type               text not null check (type in ('totp', 'static', 'webauthn', 'email')),
  -- As the person calls it.
  name               text check (char_length(name) between 1 and 100),
  created_at         timestamptz not null,
  last_used_at       timestamptz,

  -- totp: the secret, and the last time step whose code was used (RFC 6238 section 5.2: each is accepted once).
  sealed_secret      bytea check (octet_length(sealed_secret) <= 512),
  last_step          bigint,

  -- webauthn: the credential record (WebAuthn section 4).
  rp_id              text check (char_length(rp_id) between 1 and 253),
  credential_id      bytea check (octet_length(credential_id) between 1 and 1023),
  public_key         bytea check (octet_length(public_key) between 1 and 4096),
  counter            bigint check (counter >= 0),
  transports         text[] check (cardinality(transports) <= 10),
  aaguid             uuid,
  device_type        text check (device_type in ('singleDevice', 'multiDevice')),
  backed_up          boolean,
  attestation_format text check (char_length(attestation_format) <= 32),

  constraint authenticators_credential_key unique (credential_id),
  check ((type = 'totp') = (sealed_secret is not null)),
  check ((type = 'totp') = (last_step is not null)),
  check ((type = 'webauthn') = (num_nonnulls(rp_id, credential_id, public_key, counter, transports, aaguid, device_type, backed_up, attestation_format) = 9)),
  check (type = 'webauthn' or num_nonnulls(rp_id, credential_id, public_key, counter, transports, aaguid, device_type, backed_up, attestation_format) = 0)
);
create index authenticators_user_id_idx on authenticators (user_id, created_at, authenticator_id);
-- One set of recovery codes, one address.
create unique index authenticators_single_key on authenticators (user_id, type) where type in ('static', 'email');

-- The codes of an authenticator of type static. A consumed one stays until the set is replaced.
create table recovery_codes (
  authenticator_id uuid not null references authenticators (authenticator_id) on delete cascade,
  -- HMAC-SHA-256 under a key derived from the root secret.
  code_hash        bytea not null check (octet_length(code_hash) = 32),
  consumed_at      timestamptz,
  primary key (authenticator_id, code_hash)
);

-- Codes on their way to a person's address.
create table email_codes (
  email_code_id uuid primary key,
  user_id       uuid not null references users (user_id) on delete cascade,
  address       text not null check (char_length(address) between 1 and 320),
  -- HMAC-SHA-256 under a key derived from the root secret: six digits are guessed at once from a plain hash.
  code_hash     bytea not null check (octet_length(code_hash) = 32),
  expires_at    timestamptz not null,
  attempts_left smallint not null check (attempts_left >= 0),
  consumed_at   timestamptz
);
create index email_codes_user_id_idx on email_codes (user_id);
create index email_codes_expires_at_idx on email_codes (expires_at);
