-- migrate:up

set local lock_timeout = '5s';

-- What names are sorted by. Each table is written anew once, and locked as long; the columns are taken back in `migrate:down`
-- alone. Indexes by the names themselves serve yesterday's code and go with a later release.
-- squawk-ignore-file adding-field-with-default, require-concurrent-index-creation, ban-drop-column
alter table users
  add column name_f_key text collate "C" generated always as (name_key_of(name_f)) stored,
  add column name_l_key text collate "C" generated always as (name_key_of(name_l)) stored;
alter table clients
  add column name_f_key text collate "C" generated always as (name_key_of(name_f)) stored,
  add column name_l_key text collate "C" generated always as (name_key_of(name_l)) stored;
alter table api_tokens
  add column name_key text collate "C" generated always as (name_key_of(name)) stored;

create index clients_by_name_f_key on clients (org_id, name_f_key, id) where stage <> 'deleted';
create index clients_by_name_l_key on clients (org_id, name_l_key, id) where stage <> 'deleted';
create index api_tokens_by_name_key on api_tokens (org_id, name_key, id);

-- migrate:down

set local lock_timeout = '5s';

alter table users drop column name_f_key, drop column name_l_key;
alter table clients drop column name_f_key, drop column name_l_key;
alter table api_tokens drop column name_key;
