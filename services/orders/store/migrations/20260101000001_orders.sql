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
  company text,
  phone text,
  is_closed boolean not null default false,
  is_deleted boolean not null default false
);
select protect('clients');

-- A replica: the members of staff, who may be put on orders and tasks.
create table staff (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  name_f text not null,
  name_l text not null,
  is_enabled boolean not null default true
);
select protect('staff');

-- A replica: the service templates, for an order's name, price and currency.
create table templates (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  name text not null,
  price numeric(14, 2) not null,
  currency text not null,
  is_deleted boolean not null default false
);
select protect('templates');

-- A replica: whose engagement it is.
create table engagements (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  client_id uuid not null,
  is_cancelled boolean not null default false
);
select protect('engagements');

create table orders (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  number text not null check (number ~ '^[A-Z0-9]{8}$'),
  client_id uuid not null,
  engagement_id uuid,
  proposal_id uuid,
  status smallint not null check (status between 0 and 4),
  price numeric(14, 2) not null,
  currency text not null,
  quantity int not null default 1 check (quantity >= 1),
  service text not null,
  service_id uuid,
  note text,
  metadata json not null default '{}',
  form_data json not null default '{}',
  tags text[] not null default '{}',
  employee_ids uuid[] not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  date_started timestamptz,
  date_completed timestamptz,
  date_due timestamptz,
  deleted_at timestamptz,
  -- Made by a flow; a flow that was undone leaves its rows, cancelled: in no list, and 404.
  saga_id uuid,
  cancelled_at timestamptz
);
create unique index order_number on orders (org_id, number);
create index orders_of_organisation on orders (org_id, created_at desc, id)
  where deleted_at is null and cancelled_at is null;
create index orders_by_status on orders (org_id, status, created_at desc, id)
  where deleted_at is null and cancelled_at is null;
create index orders_of_client on orders (org_id, client_id, created_at desc, id)
  where deleted_at is null and cancelled_at is null;
create index orders_of_engagement on orders (org_id, engagement_id, created_at desc, id)
  where deleted_at is null and cancelled_at is null;
create index orders_of_saga on orders (saga_id) where saga_id is not null;
-- The second wall of "exactly once": a violation is a bug, never a refusal.
create unique index one_order_a_signature on orders (org_id, proposal_id)
  where saga_id is not null and cancelled_at is null;
select protect('orders');

create table order_tasks (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  order_id uuid not null references orders (id),
  name text not null,
  description text,
  sort_order int not null default 0,
  is_public boolean not null default false,
  for_client boolean not null default false,
  deadline int check (deadline >= 0),
  due_at timestamptz,
  employee_ids uuid[] not null default '{}',
  completed_by uuid,
  completed_at timestamptz,
  created_at timestamptz not null,
  deleted_at timestamptz,
  check (deadline is null or due_at is null),
  check ((completed_by is null) = (completed_at is null))
);
create index tasks_of_order on order_tasks (org_id, order_id, sort_order, created_at, id) where deleted_at is null;
select protect('order_tasks');

-- migrate:down

drop table order_tasks, orders, engagements, templates, staff, clients;
