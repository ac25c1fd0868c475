-- migrate:up

set local lock_timeout = '5s';

-- What names are sorted by. Each table is written anew once, and locked as long; the columns are taken back in `migrate:down`
-- alone. Indexes by the names themselves serve yesterday's code and go with a later release.
-- squawk-ignore-file adding-field-with-default, require-concurrent-index-creation, ban-drop-column
alter table engagements
  add column name_key text collate "C" generated always as (name_key_of(name)) stored;
alter table projects
  add column name_key text collate "C" generated always as (name_key_of(name)) stored;

create index engagements_by_name on engagements (org_id, name_key, id) where cancelled_at is null;
create index projects_by_name on projects (org_id, name_key, id) where deleted_at is null and cancelled_at is null;

-- migrate:down

set local lock_timeout = '5s';

alter table engagements drop column name_key;
alter table projects drop column name_key;
