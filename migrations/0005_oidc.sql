-- OpenID Connect and OAuth: consents, grants, codes, tokens, pushed requests, interactions, replay marks, registered clients, signing keys.
-- Makes new tables, and a trigger on sessions: that locks sessions against writing for an instant.
--
-- `issuer` is the AuthServer's: what one issued means nothing to another. Codes, tokens and identifiers that are worth something to whoever
-- reads them stand here as SHA-256 or sealed.

-- What a person agreed to, remembered beyond the session in which they did.
create table consents (
  consent_id uuid primary key,
  user_id    uuid not null references users (user_id) on delete cascade,
  issuer     text not null check (char_length(issuer) <= 2048),
  client_id  text not null check (char_length(client_id) <= 255),
  scopes     text[] not null default '{}',
  claims     text[] not null default '{}',
  resources  jsonb not null default '{}' check (jsonb_typeof(resources) = 'object'),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint consents_client_key unique (user_id, issuer, client_id)
);

-- What a client may do for a person, within one session or for as long as its refresh tokens live. Deleting it ends every token of it.
create table grants (
  grant_id        text primary key check (char_length(grant_id) between 1 and 100),
  user_id         uuid not null references users (user_id) on delete cascade,
  issuer          text not null check (char_length(issuer) <= 2048),
  client_id       text not null check (char_length(client_id) <= 255),
  -- Of an exchanged token: the grant of the token it was made from, with which it ends.
  parent_grant_id text references grants (grant_id) on delete cascade,
  payload         jsonb not null,
  created_at      timestamptz not null,
  expires_at      timestamptz not null
);
create index grants_user_id_idx on grants (user_id, issuer, client_id);
create index grants_client_id_idx on grants (issuer, client_id);
create index grants_parent_grant_id_idx on grants (parent_grant_id) where parent_grant_id is not null;
create index grants_expires_at_idx on grants (expires_at);

-- A grant with its living person: what nearly every request asks for in one go.
create view grant_holders as
  select g.grant_id, g.issuer, g.payload as grant_payload, g.expires_at as grant_expires_at,
         u.user_id, u.username, u.email, u.email_verified, u.name, u.locale, u.attributes, u.labels, u.updated_at
    from grants g
    join users u on u.user_id = g.user_id
   where u.active;

create table authorization_codes (
  code_hash   bytea primary key check (octet_length(code_hash) = 32),
  grant_id    text not null references grants (grant_id) on delete cascade,
  session_uid text,
  payload     jsonb not null,
  expires_at  timestamptz not null,
  consumed_at timestamptz
);
create index authorization_codes_grant_id_idx on authorization_codes (grant_id);
create index authorization_codes_expires_at_idx on authorization_codes (expires_at);

-- A consumed one stays until it would have expired: seeing it again means that it was stolen, and ends the grant.
create table refresh_tokens (
  token_hash  bytea primary key check (octet_length(token_hash) = 32),
  grant_id    text not null references grants (grant_id) on delete cascade,
  session_uid text,
  payload     jsonb not null,
  expires_at  timestamptz not null,
  consumed_at timestamptz
);
create index refresh_tokens_grant_id_idx on refresh_tokens (grant_id);
create index refresh_tokens_expires_at_idx on refresh_tokens (expires_at);

-- Opaque ones only: a JWT is not stored.
create table access_tokens (
  token_hash  bytea primary key check (octet_length(token_hash) = 32),
  kind        text not null check (kind in ('AccessToken', 'ClientCredentials')),
  issuer      text not null check (char_length(issuer) <= 2048),
  grant_id    text references grants (grant_id) on delete cascade,
  session_uid text,
  payload     jsonb not null,
  expires_at  timestamptz not null
);
create index access_tokens_grant_id_idx on access_tokens (grant_id) where grant_id is not null;
create index access_tokens_expires_at_idx on access_tokens (expires_at);

-- JWTs that were revoked before their time.
create table revoked_tokens (
  jti_hash   bytea primary key check (octet_length(jti_hash) = 32),
  expires_at timestamptz not null
);
create index revoked_tokens_expires_at_idx on revoked_tokens (expires_at);

create table device_codes (
  code_hash      bytea primary key check (octet_length(code_hash) = 32),
  user_code_hash bytea not null check (octet_length(user_code_hash) = 32),
  -- The code itself: whoever comes with the user code continues under it.
  sealed_code    bytea not null,
  issuer         text not null check (char_length(issuer) <= 2048),
  grant_id       text references grants (grant_id) on delete cascade,
  session_uid    text,
  payload        jsonb not null,
  expires_at     timestamptz not null,
  consumed_at    timestamptz,
  constraint device_codes_user_code_key unique (issuer, user_code_hash)
);
create index device_codes_grant_id_idx on device_codes (grant_id) where grant_id is not null;
create index device_codes_expires_at_idx on device_codes (expires_at);

create table pushed_authorization_requests (
  request_hash bytea primary key check (octet_length(request_hash) = 32),
  issuer       text not null check (char_length(issuer) <= 2048),
  payload      jsonb not null,
  expires_at   timestamptz not null,
  consumed_at  timestamptz
);
create index pushed_authorization_requests_expires_at_idx on pushed_authorization_requests (expires_at);

-- Authorization requests that wait for a person. Sealed as a whole: they name device codes and carry what the client sent.
create table oidc_interactions (
  interaction_hash bytea primary key check (octet_length(interaction_hash) = 32),
  sealed_payload   bytea not null,
  expires_at       timestamptz not null
);
create index oidc_interactions_expires_at_idx on oidc_interactions (expires_at);

-- Identifiers that may be seen once: of DPoP proofs and client assertions.
create table oidc_replays (
  replay_hash bytea primary key check (octet_length(replay_hash) = 32),
  expires_at  timestamptz not null
);
create index oidc_replays_expires_at_idx on oidc_replays (expires_at);

-- Clients that registered themselves (RFC 7591), where a policy lets them.
create table registered_clients (
  client_id     text primary key check (char_length(client_id) between 1 and 255),
  issuer        text not null check (char_length(issuer) <= 2048),
  -- Registered names, without the secret.
  metadata      jsonb not null,
  sealed_secret bytea,
  created_at    timestamptz not null,
  updated_at    timestamptz not null
);
create index registered_clients_issuer_idx on registered_clients (issuer);

create table registration_access_tokens (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  client_id  text not null references registered_clients (client_id) on delete cascade,
  payload    jsonb not null
);
create index registration_access_tokens_client_id_idx on registration_access_tokens (client_id);

create table signing_keys (
  kid            text primary key,
  issuer         text not null check (char_length(issuer) <= 2048),
  alg            text not null check (alg in ('ES256', 'RS256', 'EdDSA')),
  public_jwk     jsonb not null,
  sealed_private bytea not null,
  created_at     timestamptz not null,
  -- Published from created_at, signs from active_from until the next one's active_from, published until expires_at.
  active_from    timestamptz not null,
  expires_at     timestamptz,
  -- Value of the annotation signet.dev/rotate-keys that asked for it.
  cause          text
);
create index signing_keys_issuer_idx on signing_keys (issuer, alg, active_from);

-- Logout notices to be sent (OpenID Connect Back-Channel Logout).
create table backchannel_logouts (
  backchannel_logout_id bigint generated always as identity primary key,
  issuer      text not null,
  client_id   text not null,
  user_id     uuid not null,
  sid         text not null,
  attempts    integer not null default 0,
  next_try_at timestamptz not null,
  constraint backchannel_logouts_sid_key unique (issuer, client_id, sid)
);
create index backchannel_logouts_next_try_at_idx on backchannel_logouts (next_try_at);

-- Whoever ends a session, by whatever way, ends what lives with it, and its clients are told.
create function sessions_ended() returns trigger language plpgsql as $$
declare
  told integer;
begin
  if old.user_id is null or old.issuer is null or jsonb_typeof(old.payload -> 'authorizations') is distinct from 'object' then
    return null;
  end if;
  delete from grants g
   using jsonb_each(old.payload -> 'authorizations') a
   where g.grant_id = a.value ->> 'grantId'
     and not coalesce((a.value ->> 'persistsLogout')::boolean, false);
  insert into backchannel_logouts (issuer, client_id, user_id, sid, next_try_at)
  select old.issuer, a.key, old.user_id, a.value ->> 'sid', now()
    from jsonb_each(old.payload -> 'authorizations') a
   where a.value ->> 'sid' is not null
  on conflict do nothing;
  get diagnostics told = row_count;
  if told > 0 then
    perform pg_notify('backchannel_logouts', '');
  end if;
  return null;
end
$$;
create trigger sessions_ended after delete on sessions for each row execute function sessions_ended();
