-- migrate:up

set local lock_timeout = '5s';

-- What others say of projects and senders.
-- One round trip each: the function names its organisation to row-level security, and the call commits by itself.
-- A function that has been released is not changed: a new one takes its place, so that old and new replicas get on.

-- What the engagement service says, unless something newer is known.
create function keep_project(
  p_project uuid, p_org uuid, p_version int, p_engagement uuid, p_client uuid, p_name text,
  p_is_deleted boolean
) returns setof boolean language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  insert into projects (id, org_id, version, engagement_id, client_id, name, is_deleted)
  values (p_project, p_org, p_version, p_engagement, p_client, p_name, p_is_deleted)
  on conflict (id) do update set
    version = excluded.version, engagement_id = excluded.engagement_id, client_id = excluded.client_id,
    name = excluded.name, is_deleted = excluded.is_deleted
  where projects.version < excluded.version
  returning true;
end $$;

-- migrate:down

set local lock_timeout = '5s';

drop function keep_project;
