-- When a client that registered itself was last used, so that those that nobody uses go. Locks registered_clients while it writes each row
-- once: those of before count as used now.

alter table registered_clients add column last_used_at timestamptz;
update registered_clients set last_used_at = now();
