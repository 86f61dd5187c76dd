-- The name of each member by the key of users. As a join it was planned for what the tables held when the statement was prepared, and read all
-- users for every member where many had come since. Replaces a view; locks it for that moment.
create or replace view group_members_shown as
  select m.group_id,
         m.user_id,
         (select u.username from users u where u.user_id = m.user_id) as username
    from group_members m;
