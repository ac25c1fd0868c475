-- migrate:up

set local lock_timeout = '5s';

-- The totals of lists (see `tally`).
select tally('users', 'true', '{}');
select tally('clients', $$stage <> 'deleted'$$, '{stage}');
select tally('api_tokens', 'true', '{}');

-- migrate:down

set local lock_timeout = '5s';

select tally_no_more('users');
select tally_no_more('clients');
select tally_no_more('api_tokens');
