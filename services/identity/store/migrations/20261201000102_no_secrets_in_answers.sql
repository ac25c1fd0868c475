-- migrate:up

set local lock_timeout = '5s';

-- Answers that were stored under an Idempotency-Key held the secret of the token that was made.
select set_config('app.across', 'on', true);
update idempotency_keys
set body = convert_to(regexp_replace(convert_from(body, 'UTF8'), '"token":"serx_[^"]*"', '"token":null'), 'UTF8')
where status = 201 and convert_from(body, 'UTF8') like '%"token":"serx_%';
select set_config('app.across', '', true);

-- migrate:down

set local lock_timeout = '5s';

-- A secret that is gone does not come back.
