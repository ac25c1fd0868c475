-- migrate:up

set local lock_timeout = '5s';

-- `keep_engagement` for many of one organisation, none of them twice, in the order of their ids: two that keep the same
-- ones at the same time wait for each other, and not in a circle.
create function keep_engagements(p_org uuid, p_engagements json) returns setof boolean language plpgsql as $$
#variable_conflict use_column
begin
  perform set_config('app.org', p_org::text, true);
  return query
  insert into engagements (id, org_id, version, client_id, is_cancelled)
  select told.id, p_org, told.version, told.client_id, told.is_cancelled
  from json_to_recordset(p_engagements) as told (id uuid, version int, client_id uuid, is_cancelled boolean)
  order by told.id
  on conflict (id) do update set
    version = excluded.version, client_id = excluded.client_id, is_cancelled = excluded.is_cancelled
  where engagements.version < excluded.version
  returning true;
end $$;

-- migrate:down

set local lock_timeout = '5s';

drop function keep_engagements;
