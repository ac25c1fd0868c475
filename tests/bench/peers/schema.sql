-- The peers' one database: what a team that keeps everything in one place would have, with the indexes its lists need.
create table organisations (id uuid primary key, name text not null);

create table users (
  id uuid primary key,
  org_id uuid not null references organisations (id),
  role text not null,
  name text not null,
  email text not null,
  is_enabled boolean not null default true
);

create table api_tokens (
  id uuid primary key,
  org_id uuid not null references organisations (id),
  user_id uuid not null references users (id),
  secret_hash bytea not null unique,
  expires_at timestamptz
);

create table clients (
  id uuid primary key,
  org_id uuid not null references organisations (id),
  name_f text not null,
  name_l text not null,
  email text not null,
  company text,
  phone text,
  created_at timestamptz not null
);
create unique index clients_email on clients (org_id, lower(email));

create table services (id uuid primary key, org_id uuid not null references organisations (id), name text not null);

create table engagements (
  id uuid primary key,
  org_id uuid not null references organisations (id),
  client_id uuid not null references clients (id),
  proposal_id uuid unique,
  name text not null,
  status smallint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  closed_at timestamptz
);
create index engagements_of_organisation on engagements (org_id, created_at desc, id);
create index engagements_of_client on engagements (client_id);

create table projects (
  id uuid primary key,
  org_id uuid not null references organisations (id),
  engagement_id uuid not null references engagements (id),
  name text not null,
  description text,
  status smallint not null,
  phase smallint not null,
  service_id uuid references services (id),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  completed_at timestamptz,
  deleted_at timestamptz
);
create index projects_of_organisation on projects (org_id, created_at desc, id) where deleted_at is null;
create index projects_of_engagement on projects (engagement_id, created_at, id);

create table orders (
  id uuid primary key,
  org_id uuid not null references organisations (id),
  number text not null,
  client_id uuid not null references clients (id),
  engagement_id uuid references engagements (id),
  proposal_id uuid unique,
  status smallint not null,
  price numeric(14, 2) not null,
  currency text not null,
  quantity int not null default 1,
  service text not null,
  service_id uuid references services (id),
  note text,
  metadata jsonb not null default '{}',
  form_data jsonb not null default '{}',
  tags text[] not null default '{}',
  employee_ids uuid[] not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  date_started timestamptz,
  date_completed timestamptz,
  date_due timestamptz,
  unique (org_id, number)
);
create index orders_of_organisation on orders (org_id, created_at desc, id);
create index orders_of_client on orders (client_id);
create index orders_of_engagement on orders (engagement_id);

create table proposals (
  id uuid primary key,
  org_id uuid not null references organisations (id),
  client_email text not null,
  client_name_f text not null,
  client_name_l text not null,
  client_company text,
  status smallint not null,
  currency text not null,
  notes text,
  total numeric(14, 2) not null,
  valid_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  sent_at timestamptz,
  signed_at timestamptz,
  signer_address text,
  signer_user_agent text,
  converted_engagement_id uuid references engagements (id),
  converted_order_id uuid references orders (id)
);
create index proposals_of_organisation on proposals (org_id, created_at desc, id);

create table proposal_items (
  id uuid primary key,
  proposal_id uuid not null references proposals (id),
  position smallint not null,
  name text not null,
  description text not null,
  price numeric(14, 2) not null,
  service_id uuid references services (id),
  created_at timestamptz not null,
  unique (proposal_id, position)
);
