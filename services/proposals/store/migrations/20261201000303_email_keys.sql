-- migrate:up

set local lock_timeout = '5s';

-- The key of an address becomes `email_key_of` of it; neither table has a unique index on it.
alter table clients alter column email_key set expression as (email_key_of(email));
alter table proposals alter column client_email_key set expression as (email_key_of(client_email));

-- migrate:down

set local lock_timeout = '5s';

alter table clients alter column email_key set expression as (lower(email));
alter table proposals alter column client_email_key set expression as (lower(client_email));
