-- migrate:up

set local lock_timeout = '5s';

-- `keep_project` for many of one organisation, none of them twice, in the order of their ids: two that keep the same ones
-- at the same time wait for each other, and not in a circle.
create function keep_projects(p_org uuid, p_projects json) returns setof boolean language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  insert into projects (id, org_id, version, engagement_id, client_id, name, is_deleted)
  select told.id, p_org, told.version, told.engagement_id, told.client_id, told.name, told.is_deleted
  from json_to_recordset(p_projects) as told (
    id uuid, version int, engagement_id uuid, client_id uuid, name text, is_deleted boolean
  ) order by told.id
  on conflict (id) do update set
    version = excluded.version, engagement_id = excluded.engagement_id, client_id = excluded.client_id,
    name = excluded.name, is_deleted = excluded.is_deleted
  where projects.version < excluded.version
  returning true;
end $$;

-- migrate:down

set local lock_timeout = '5s';

drop function keep_projects;
