-- migrate:up

set local lock_timeout = '5s';

-- A replica: what identity says of clients. Every create locks its client's row, so that closing one can count.
create table clients (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  name_f text not null,
  name_l text not null,
  email text not null,
  is_closed boolean not null default false,
  is_deleted boolean not null default false
);
select protect('clients');

-- A replica: what the proposal service says of its service templates.
create table templates (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  name text not null,
  is_deleted boolean not null default false
);
select protect('templates');

create table engagements (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  client_id uuid not null,
  proposal_id uuid,
  name text not null,
  status smallint not null check (status between 1 and 3),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  closed_at timestamptz,
  -- Made by a flow; a flow that was undone leaves its rows, cancelled: in no list, and 404.
  saga_id uuid,
  cancelled_at timestamptz,
  check ((status = 3) = (closed_at is not null))
);
create index engagements_of_organisation on engagements (org_id, created_at desc, id) where cancelled_at is null;
create index engagements_of_client on engagements (org_id, client_id, created_at desc, id) where cancelled_at is null;
create index engagements_of_saga on engagements (saga_id) where saga_id is not null;
-- The second wall of "exactly once": a violation is a bug, never a refusal.
create unique index one_engagement_a_signature on engagements (org_id, proposal_id)
  where saga_id is not null and cancelled_at is null;
select protect('engagements');

create table projects (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  engagement_id uuid not null references engagements (id),
  client_id uuid not null,
  name text not null,
  description text,
  status smallint not null check (status between 1 and 4),
  phase smallint not null check (phase between 1 and 6),
  service_id uuid,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  completed_at timestamptz,
  deleted_at timestamptz,
  saga_id uuid,
  cancelled_at timestamptz,
  check ((status = 3) = (completed_at is not null))
);
create index projects_of_organisation on projects (org_id, created_at desc, id)
  where deleted_at is null and cancelled_at is null;
create index projects_of_engagement on projects (org_id, engagement_id, created_at, id)
  where deleted_at is null and cancelled_at is null;
create index projects_of_client on projects (org_id, client_id, created_at desc, id)
  where deleted_at is null and cancelled_at is null;
create index projects_of_saga on projects (saga_id) where saga_id is not null;
select protect('projects');

-- migrate:down

drop table projects, engagements, templates, clients;
