-- migrate:up

set local lock_timeout = '5s';

-- A plan that is made once for all values joins a list with its organisation's clients, and not with everybody's.
-- A copy is short, and whoever writes to it can wait for as long as this takes: no need to build it beside them.
-- squawk-ignore require-concurrent-index-creation
create index clients_of_organisation on clients (org_id);

-- migrate:down

set local lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-deletion
drop index clients_of_organisation;
