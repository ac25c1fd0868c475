-- migrate:up

set local lock_timeout = '5s';

-- What names are sorted by. Each table is written anew once, and locked as long; the columns are taken back in `migrate:down`
-- alone. Indexes by the names themselves serve yesterday's code and go with a later release.
-- squawk-ignore-file adding-field-with-default, require-concurrent-index-creation, ban-drop-column
alter table templates
  add column name_key text collate "C" generated always as (name_key_of(name)) stored;

create index templates_by_name on templates (org_id, name_key, id) where deleted_at is null;

-- migrate:down

set local lock_timeout = '5s';

alter table templates drop column name_key;
