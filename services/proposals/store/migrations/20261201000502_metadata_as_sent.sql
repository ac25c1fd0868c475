-- migrate:up

set local lock_timeout = '5s';

-- jsonb loses the order of names and the spelling of numbers (1.10 is 1.1, 1e400 has 401 digits). The release before
-- this one reads and writes `metadata` alone: what it writes is null in `metadata_sent`, and read from `metadata`.
-- Once no such release runs, `metadata` goes, and `metadata_sent` takes its name.
alter table templates add column metadata_sent json;

create function templates_written_by_the_release_before() returns trigger language plpgsql as $$
begin
  if new.metadata_sent::text is not distinct from old.metadata_sent::text then
    new.metadata_sent := null;
  end if;
  return new;
end
$$;
create trigger templates_written_by_the_release_before before update of metadata on templates for each row
  when (new.metadata is distinct from old.metadata)
  execute function templates_written_by_the_release_before();

-- migrate:down

set local lock_timeout = '5s';

drop trigger templates_written_by_the_release_before on templates;
drop function templates_written_by_the_release_before();
-- squawk-ignore ban-drop-column
alter table templates drop column metadata_sent;
