-- migrate:up

set local lock_timeout = '5s';

-- The tenant. Its own row is a row of that organisation.
create table organisations (
  org_id uuid primary key,
  name text not null,
  is_enabled boolean not null default true,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
select protect('organisations');

-- Staff.
create table users (
  org_id uuid not null references organisations (org_id),
  id uuid not null,
  version int not null default 1,
  name_f text not null,
  name_l text not null,
  email text not null,
  -- Stored, because lower() is not leakproof: under row-level security no index on an expression of it would be used.
  email_key text not null generated always as (lower(email)) stored,
  role text not null check (role in ('admin', 'member')),
  is_enabled boolean not null default true,
  password_hash text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
);
create unique index users_email on users (org_id, email_key);
create index users_login on users (email_key);
create index users_of_organisation on users (org_id, created_at desc, id);
select protect('users');

-- The organisation's customers. One that is about to be deleted is closing, since `closing_at` (or since a sweep took
-- it up again). A deleted one stays as an anonymised row, so that a late `ensure-client` with its id does not raise it
-- from the dead; its e-mail is free again.
create table clients (
  org_id uuid not null references organisations (org_id),
  id uuid not null,
  version int not null default 1,
  name_f text not null,
  name_l text not null,
  email text not null,
  email_key text not null generated always as (lower(email)) stored,
  company text,
  phone text,
  tax_id text,
  note text,
  address jsonb,
  custom_fields jsonb not null default '{}',
  is_enabled boolean not null default true,
  stage text not null default 'open' check (stage in ('open', 'closing', 'deleted')),
  closing_at timestamptz,
  password_hash text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  check ((stage = 'closing') = (closing_at is not null))
);
create unique index clients_email on clients (org_id, email_key) where stage <> 'deleted';
create index clients_login on clients (email_key) where password_hash is not null;
create index clients_of_organisation on clients (org_id, created_at desc, id) where stage <> 'deleted';
create index clients_by_name_f on clients (org_id, name_f, id) where stage <> 'deleted';
create index clients_by_name_l on clients (org_id, name_l, id) where stage <> 'deleted';
create index clients_closing on clients (closing_at) where stage = 'closing';
select protect('clients');

-- Logins that last. Who acts is a member of staff or a client, never both.
create table sessions (
  org_id uuid not null references organisations (org_id),
  id uuid not null,
  user_id uuid,
  client_id uuid,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, user_id) references users (org_id, id) on delete cascade,
  foreign key (org_id, client_id) references clients (org_id, id) on delete cascade,
  check (num_nonnulls(user_id, client_id) = 1)
);
create index sessions_of_user on sessions (org_id, user_id) where user_id is not null;
create index sessions_of_client on sessions (org_id, client_id) where client_id is not null;
create index sessions_age on sessions (expires_at);
select protect('sessions');

-- Credentials of integrations. The secret itself is shown once and never stored.
create table api_tokens (
  org_id uuid not null references organisations (org_id),
  id uuid not null,
  name text not null,
  role text not null check (role in ('admin', 'member', 'client')),
  made_by uuid not null,
  client_id uuid,
  secret_hash bytea not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  last_used_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, made_by) references users (org_id, id),
  foreign key (org_id, client_id) references clients (org_id, id) on delete cascade,
  check ((role = 'client') = (client_id is not null))
);
create unique index api_tokens_secret on api_tokens (secret_hash);
create index api_tokens_of_organisation on api_tokens (org_id, created_at desc, id);
create index api_tokens_by_name on api_tokens (org_id, name, id);
create index api_tokens_of_maker on api_tokens (org_id, made_by);
create index api_tokens_of_client on api_tokens (org_id, client_id) where client_id is not null;
select protect('api_tokens');

-- Failed logins of the last minute, by account (e-mail, of whatever organisation) and by address, for all replicas.
create table login_attempts (
  kind text not null check (kind in ('account', 'address')),
  subject text not null,
  failed_at timestamptz[] not null,
  last_failed_at timestamptz not null,
  primary key (kind, subject)
);
create index login_attempts_age on login_attempts (last_failed_at);
select admit('login_attempts');

-- migrate:down

drop table login_attempts, api_tokens, sessions, clients, users, organisations;
