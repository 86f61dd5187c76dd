-- The one network in which a session is good, as src/lib/network_key.ts names it. Adds a column without a default: locks sessions for an instant.

alter table sessions add column bound_network text check (char_length(bound_network) <= 64);
