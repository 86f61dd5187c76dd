-- How bad networks have been of late. Makes a new table only; locks nothing that is in use.

create table network_reputations (
  -- SHA-256 of the network.
  key        bytea primary key check (octet_length(key) = 32),
  score      double precision not null check (score between 0 and 100),
  updated_at timestamptz not null
) with (fillfactor = 80);

create index network_reputations_updated_at_idx on network_reputations (updated_at);
