-- Outside of a transaction: an index over all attempts is made while others write on. Adds columns without a default, which locks flow_attempts for an
-- instant; an attempt lives half an hour, so there are few of them.
--
-- For administrators, who see the newest attempts first, and where each came from.

alter table flow_attempts add column if not exists network text check (char_length(network) <= 64);
alter table flow_attempts add column if not exists user_agent text check (char_length(user_agent) <= 400);

drop index concurrently if exists flow_attempts_created_at;
create index concurrently flow_attempts_created_at on flow_attempts (created_at, attempt_hash);
