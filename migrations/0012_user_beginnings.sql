-- Outside of a transaction: indexes over all users are made while others read and write on. Locks nothing for longer than an instant; at ten
-- million users each of the three takes a minute or more.
--
-- A search finds at once who begins with what was typed: by username and by address along the keys of sign-in, and by these three along
-- the name, its last word and the domain of the address. The last line of a search text is the name in the form in which it is searched (without a name: a line that is
-- found by its own key already). Cut, because PostgreSQL refuses a user whose entry is too long for an index.

drop index concurrently if exists users_full_name_idx;
create index concurrently users_full_name_idx on users (left(split_part(search_text, E'\n', -1), 100), user_id);

drop index concurrently if exists users_last_name_idx;
create index concurrently users_last_name_idx on users (left(split_part(split_part(search_text, E'\n', -1), ' ', -1), 100), user_id);

drop index concurrently if exists users_domain_idx;
create index concurrently users_domain_idx on users (left(split_part(email_key, '@', 2), 100), user_id);

create or replace view user_beginnings as
  select user_id, username_key, email_key, search_text,
         left(split_part(search_text, E'\n', -1), 100) as full_name,
         left(split_part(split_part(search_text, E'\n', -1), ' ', -1), 100) as last_name,
         left(split_part(email_key, '@', 2), 100) as domain
    from users;
