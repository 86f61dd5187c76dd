-- Finds passwords that another system hashed, without looking at all others. Building it reads the table once under a share lock: sign-ins go
-- on, and what sets a password waits for as long.

create index passwords_imported_idx on passwords (user_id) where hash not like '$argon2id$v=19$m=19456,t=2,p=1$%';
