-- migrate:up

set local lock_timeout = '5s';

-- jsonb loses the order of names and the spelling of numbers (1.10 is 1.1, 1e400 has 401 digits). The release before
-- this one reads and writes `custom_fields` alone: what it writes is null in `custom_fields_sent`, and read from `custom_fields`.
-- Once no such release runs, `custom_fields` goes, and `custom_fields_sent` takes its name.
alter table clients add column custom_fields_sent json;

create function clients_written_by_the_release_before() returns trigger language plpgsql as $$
begin
  if new.custom_fields_sent::text is not distinct from old.custom_fields_sent::text then
    new.custom_fields_sent := null;
  end if;
  return new;
end
$$;
create trigger clients_written_by_the_release_before before update of custom_fields on clients for each row
  when (new.custom_fields is distinct from old.custom_fields)
  execute function clients_written_by_the_release_before();

-- migrate:down

set local lock_timeout = '5s';

drop trigger clients_written_by_the_release_before on clients;
drop function clients_written_by_the_release_before();
-- squawk-ignore ban-drop-column
alter table clients drop column custom_fields_sent;
