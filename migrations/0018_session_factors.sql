-- Which types of second factors were proven in a session, which amr does not tell apart. Adds a column whose default is a constant: locks sessions for an instant.

alter table sessions add column proven_factors text[] not null default '{}';
