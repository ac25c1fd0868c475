-- migrate:up

set local lock_timeout = '5s';

-- The totals of lists (see `tally`). Of templates, whether they are public stands for the status, and how they recur
-- for the phase.
select tally('proposals', 'deleted_at is null', '{deleted_at, status}', 'status');
select tally('templates', 'deleted_at is null', '{deleted_at, is_public, recurring}', 'is_public::int', 'recurring');

-- Sent ones that are past their time read as Expired, and are counted apart.
-- An agency's proposals are thousands, whose index is built within the time that a caller waits anyway.
-- squawk-ignore require-concurrent-index-creation
create index proposals_by_expiry on proposals (org_id, valid_until) where status = 1 and deleted_at is null;

-- migrate:down

set local lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-deletion
drop index proposals_by_expiry;
select tally_no_more('proposals');
select tally_no_more('templates');
