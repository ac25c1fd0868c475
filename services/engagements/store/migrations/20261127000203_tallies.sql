-- migrate:up

set local lock_timeout = '5s';

-- The totals of lists (see `tally`).
select tally('engagements', 'cancelled_at is null', '{cancelled_at, status}', 'status');
select tally(
  'projects', 'deleted_at is null and cancelled_at is null', '{deleted_at, cancelled_at, status, phase}', 'status',
  'phase');

-- migrate:down

set local lock_timeout = '5s';

select tally_no_more('engagements');
select tally_no_more('projects');
