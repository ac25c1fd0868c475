-- migrate:up

set local lock_timeout = '5s';

-- A replica: what the engagement service says of projects. What hangs on a deleted project is gone with it: every read
-- joins this table.
create table projects (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  engagement_id uuid not null,
  client_id uuid not null,
  name text not null,
  is_deleted boolean not null default false
);
create index projects_of_engagement on projects (org_id, engagement_id) where not is_deleted;
select protect('projects');

create table conversations (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  project_id uuid not null,
  subject text not null,
  status smallint not null check (status between 1 and 2),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- Counted and timed twice: staff see all messages, clients only those that are not internal.
  message_count int not null default 0,
  public_message_count int not null default 0,
  last_message_at timestamptz,
  last_public_message_at timestamptz,
  check (public_message_count <= message_count)
);
create index conversations_of_project on conversations (org_id, project_id, last_message_at desc nulls last, id);
create index conversations_of_organisation on conversations (org_id, last_message_at desc nulls last, id);
select protect('conversations');

create table messages (
  id uuid primary key,
  org_id uuid not null,
  conversation_id uuid not null references conversations (id),
  sender_id uuid not null,
  sender_name text not null,
  sender_email text not null,
  is_from_client boolean not null,
  content text not null,
  is_internal boolean not null default false,
  attachments jsonb not null default '[]',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  check (not (is_internal and is_from_client))
);
create index messages_of_conversation on messages (org_id, conversation_id, created_at, id) where deleted_at is null;
select protect('messages');

-- migrate:down

drop table messages, conversations, projects;
