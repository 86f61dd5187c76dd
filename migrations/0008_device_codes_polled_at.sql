-- When a device last asked for its code, so that one that asks too often is told to slow down (RFC 8628 section 3.5).
-- Adds a column without a default: locks device_codes for an instant.

alter table device_codes add column polled_at timestamptz;
