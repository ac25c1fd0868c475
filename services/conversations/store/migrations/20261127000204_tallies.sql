-- migrate:up

set local lock_timeout = '5s';

-- The totals of lists (see `tally`). What hangs on a deleted project is counted here all the same, and is taken off
-- when it is read: there are few.
select tally('conversations', 'true', '{status}', 'status');
-- A copy is short, and whoever writes to it can wait for as long as this takes.
-- squawk-ignore require-concurrent-index-creation
create index projects_gone on projects (org_id, id) where is_deleted;

-- migrate:down

set local lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-deletion
drop index projects_gone;
select tally_no_more('conversations');
