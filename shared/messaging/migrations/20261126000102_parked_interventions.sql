-- migrate:up

set local lock_timeout = '5s';

-- Parked messages that an operator delivered again or dropped, as they were: who, when and why.
create table parked_interventions (
  id uuid primary key,
  key text not null,
  subject text not null,
  headers jsonb not null,
  body bytea not null,
  error text not null,
  deliveries int not null,
  parked_at timestamptz not null,
  action text not null check (action in ('retry', 'drop')),
  actor text not null,
  reason text not null,
  at timestamptz not null
);
create index parked_interventions_of_key on parked_interventions (key, at);
select admit('parked_interventions');

-- migrate:down

set local lock_timeout = '5s';

drop table parked_interventions;
