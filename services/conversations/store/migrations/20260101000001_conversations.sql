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
create index projects_of_client on projects (org_id, client_id) where not is_deleted;
select protect('projects');

-- A replica: what identity says of those who write, staff and clients. A message shows its sender's name of today.
create table senders (
  id uuid primary key,
  org_id uuid not null,
  version int not null,
  name text not null,
  email text not null
);
select protect('senders');

create table conversations (
  id uuid primary key,
  org_id uuid not null,
  version int not null default 1,
  project_id uuid not null,
  subject text,
  status smallint not null check (status between 1 and 2),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- Counted and timed twice: staff see all messages, clients only those that are not internal.
  message_count int not null default 0,
  public_message_count int not null default 0,
  last_message_at timestamptz,
  last_public_message_at timestamptz,
  check (public_message_count between 0 and message_count),
  check ((message_count = 0) = (last_message_at is null)),
  check ((public_message_count = 0) = (last_public_message_at is null))
);
create index conversations_of_project on conversations (org_id, project_id, last_message_at desc nulls last, id);
-- A client's list is in the order of what they see.
create index conversations_of_project_for_client
  on conversations (org_id, project_id, last_public_message_at desc nulls last, id);
create index conversations_of_organisation on conversations (org_id, last_message_at desc nulls last, id);
select protect('conversations');

create table messages (
  id uuid primary key,
  org_id uuid not null,
  conversation_id uuid not null references conversations (id),
  sender_id uuid not null,
  -- As they were when it was written; shown until identity has told of the sender.
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
create index messages_for_client on messages (org_id, conversation_id, created_at, id)
  where deleted_at is null and not is_internal;
select protect('messages');

-- migrate:down

drop table messages, conversations, senders, projects;
