-- migrate:up

set local lock_timeout = '5s';

-- Passwords of one address have one salt, made of this secret and the address's key: however many organisations know the
-- address, a login computes one hash for them. It is drawn once. Were it lost, each account's next login would be
-- computed apart, once.
create table login_secret (
  is_the_one boolean primary key default true check (is_the_one),
  secret bytea not null
);
insert into login_secret (secret) select uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
select admit('login_secret');

-- migrate:down

set local lock_timeout = '5s';

drop table login_secret;
