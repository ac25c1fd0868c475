-- migrate:up

set local lock_timeout = '5s';

-- The totals of lists (see `tally`).
select tally('orders', 'deleted_at is null and cancelled_at is null', '{deleted_at, cancelled_at, status}', 'status');

-- migrate:down

set local lock_timeout = '5s';

select tally_no_more('orders');
