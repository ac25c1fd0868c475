-- migrate:up

set local lock_timeout = '5s';

-- The key of an address becomes `email_key_of(email)`. Two accounts whose addresses were two under the old rule may have
-- one under the new. Both stay, with all that they have: the one that was first in use has the key, and each other one
-- is a namesake: the shared key stands in `namesake`, and its own key is made unique by its id (no address has a blank
-- in it). A namesake logs in as before, and nobody else gets the address; with another address it is a namesake no more.
-- Statements of the release before this one run on both.
lock table users, clients in access exclusive mode;
select set_config('app.across', 'on', true);

alter table users add column namesake text;
alter table clients add column namesake text;

update users set namesake = ranked.key from (
  select org_id, id, email_key_of(email) as key, row_number() over (
    partition by org_id, email_key_of(email) order by is_enabled desc, created_at, id) as place
  from users
) ranked
where ranked.place > 1 and users.org_id = ranked.org_id and users.id = ranked.id;
update clients set namesake = ranked.key from (
  select org_id, id, email_key_of(email) as key, row_number() over (
    partition by org_id, email_key_of(email) order by stage = 'open' desc, is_enabled desc, created_at, id) as place
  from clients where stage <> 'deleted'
) ranked
where ranked.place > 1 and clients.org_id = ranked.org_id and clients.id = ranked.id;

alter table users alter column email_key set expression as (
  case when namesake is null then email_key_of(email) else email_key_of(email) || ' ' || id::text end);
alter table clients alter column email_key set expression as (
  case when namesake is null then email_key_of(email) else email_key_of(email) || ' ' || id::text end);
-- squawk-ignore require-concurrent-index-creation
create index users_namesakes on users (namesake) where namesake is not null;
-- squawk-ignore require-concurrent-index-creation
create index clients_namesakes on clients (namesake) where namesake is not null;

-- migrate:down

set local lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-deletion
drop index users_namesakes, clients_namesakes;
alter table users alter column email_key set expression as (lower(email));
alter table clients alter column email_key set expression as (lower(email));
-- squawk-ignore ban-drop-column
alter table users drop column namesake;
-- squawk-ignore ban-drop-column
alter table clients drop column namesake;
