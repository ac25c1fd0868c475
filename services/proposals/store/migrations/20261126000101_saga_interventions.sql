-- migrate:up

set local lock_timeout = '5s';

-- What operators did to a run of the sign flow: who, when and why.
create table saga_interventions (
  id uuid primary key,
  org_id uuid not null,
  saga_id uuid not null,
  action text not null check (action in ('retry', 'cancel', 'retry_parked', 'drop_parked')),
  step text,
  actor text not null,
  reason text not null,
  at timestamptz not null
);
create index interventions_of_saga on saga_interventions (org_id, saga_id, at);
select protect('saga_interventions');

-- migrate:down

set local lock_timeout = '5s';

drop table saga_interventions;
