-- migrate:up

set local lock_timeout = '5s';

create table templates (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  name text not null,
  description text,
  price numeric(14, 2) not null,
  currency text not null,
  recurring smallint not null,
  is_public boolean not null,
  deadline_days int,
  sort_order int not null,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz
);
create index templates_of_organisation on templates (org_id, created_at desc, id) where deleted_at is null;
select protect('templates');

-- A replica: what identity says of clients.
create table clients (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  name_f text not null,
  name_l text not null,
  email text not null,
  email_key text not null generated always as (lower(email)) stored,
  company text,
  phone text,
  is_enabled boolean not null,
  is_closed boolean not null,
  is_deleted boolean not null
);
create index clients_by_email on clients (org_id, email_key);
select protect('clients');

create table proposals (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  client_email text not null,
  client_email_key text not null generated always as (lower(client_email)) stored,
  client_name_f text not null,
  client_name_l text not null,
  client_company text,
  status smallint not null check (status between 0 and 4),
  currency text not null,
  notes text,
  total numeric(14, 2) not null,
  valid_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  sent_at timestamptz,
  signed_at timestamptz,
  rejected_at timestamptz,
  rejection_reason text,
  deleted_at timestamptz,
  -- The flow that is signing it, or has; nothing else may move a proposal that is Signing.
  saga_id uuid,
  refusal text,
  converted_engagement_id uuid,
  converted_order_id uuid,
  check ((status = 2) = (converted_engagement_id is not null and converted_order_id is not null)),
  check ((status in (2, 4)) = (saga_id is not null))
);
create index proposals_of_organisation on proposals (org_id, created_at desc, id) where deleted_at is null;
create index proposals_by_status on proposals (org_id, status, created_at desc, id) where deleted_at is null;
create index proposals_by_client on proposals (org_id, client_email_key, created_at desc, id) where deleted_at is null;
select protect('proposals');

create table proposal_items (
  proposal_id uuid not null references proposals (id) on delete cascade,
  position smallint not null,
  id uuid not null,
  org_id uuid not null,
  name text not null,
  description text not null,
  price numeric(14, 2) not null,
  service_id uuid,
  created_at timestamptz not null,
  primary key (proposal_id, position)
);
select protect('proposal_items');

-- One run of the sign flow: its plan holds every id and all that its commands say.
create table sagas (
  id uuid primary key,
  org_id uuid not null,
  proposal_id uuid not null,
  status text not null check (status in ('running', 'compensating', 'completed', 'rejected')),
  plan json not null,
  replies json not null default '{}',
  marks json not null default '{}',
  attempt int not null default 1,
  due_at timestamptz not null,
  is_parked boolean not null default false,
  cause text,
  result json,
  traceparent text not null,
  started_at timestamptz not null,
  finished_at timestamptz
);
create index sagas_due on sagas (due_at) where status in ('running', 'compensating') and not is_parked;
create index sagas_of_proposal on sagas (org_id, proposal_id, started_at desc);
create unique index one_open_saga_a_proposal on sagas (org_id, proposal_id) where status in ('running', 'compensating');
select protect('sagas');

create table signatures (
  saga_id uuid primary key,
  org_id uuid not null,
  proposal_id uuid not null,
  signer_name text,
  signature text,
  address text,
  user_agent text,
  signed_at timestamptz not null
);
select protect('signatures');

-- migrate:down

drop table signatures, sagas, proposal_items, proposals, clients, templates;
