-- migrate:up

set local lock_timeout = '5s';

-- Puts a table under row-level security, forced for its owner too, and lets the service's role work with its rows.
-- The service's role is the owner's name without `_owner`.
create function protect(subject regclass) returns void language plpgsql as $$
declare
  service_role text := regexp_replace(current_user, '_owner$', '');
begin
  execute format('alter table %s enable row level security', subject);
  execute format('alter table %s force row level security', subject);
  execute format(
    'create policy organisation on %s using ('
    'org_id = (select nullif(current_setting(''app.org'', true), '''')::uuid)'
    ' or (select current_setting(''app.across'', true)) = ''on'')', subject);
  execute format('grant select, insert, update, delete on %s to %I', subject, service_role);
end $$;

-- For tables of the machinery, which hold no organisation's rows of their own.
create function admit(subject regclass) returns void language plpgsql as $$
begin
  execute format('grant select, insert, update, delete on %s to %I', subject, regexp_replace(current_user, '_owner$', ''));
end $$;

-- What this service has decided to say. Written with the change it tells of, published after commit.
create table outbox (
  id uuid primary key,
  subject text not null,
  type text not null,
  body json not null,
  traceparent text not null,
  created_at timestamptz not null default now(),
  published_at timestamptz
);
create index outbox_unpublished on outbox (created_at) where published_at is null;
create index outbox_published on outbox (published_at) where published_at is not null;
select admit('outbox');

-- What this service has already done for a message, and what it answered. A tombstone bars a late command.
create table inbox (
  key text primary key,
  delivery uuid not null,
  reply json not null,
  at timestamptz not null default now()
);
create index inbox_age on inbox (at);
select admit('inbox');

-- Messages that cannot be handled: kept for an operator, blocking nobody.
create table parked_messages (
  key text primary key,
  subject text not null,
  headers jsonb not null,
  body bytea not null,
  error text not null,
  deliveries int not null,
  parked_at timestamptz not null default now()
);
select admit('parked_messages');

-- The stream's creation time that this service last published to: when it changes, what is kept is published again.
create table streams_seen (
  name text primary key,
  created text not null
);
select admit('streams_seen');

-- Answers that were given under an Idempotency-Key. A flow's answer is the flow's own (saga_id), and not copied here.
create table idempotency_keys (
  org_id uuid not null,
  key text not null,
  fingerprint bytea not null,
  saga_id uuid,
  status smallint,
  headers jsonb,
  media_type text,
  body bytea,
  created_at timestamptz not null default now(),
  primary key (org_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
select protect('idempotency_keys');

-- migrate:down

drop table idempotency_keys, streams_seen, parked_messages, inbox, outbox;
drop function admit(regclass);
drop function protect(regclass);
