-- migrate:up

set local lock_timeout = '5s';

-- How many rows lists have: the sum over all slots. A slot is a connection to the server (its process id), so that no
-- two ever write one number; what connections left that have ended is folded into slot 0. A number may be negative.
create table tallies (
  org_id uuid not null,
  subject text not null,
  status smallint not null,
  phase smallint not null,
  slot int not null,
  number bigint not null,
  primary key (org_id, subject, status, phase, slot)
) with (fillfactor = 50);
create index tallies_to_fold on tallies (slot) where slot <> 0;
select protect('tallies');

-- From now on the rows of `subject` that meet `condition` are counted, by `status` and `phase` (SQL over a row).
-- `columns` are those that any of the three reads. Counts what is there; `recount_<subject>()` does so again.
create function tally(
  subject regclass, condition text, columns text[], status text default '0', phase text default '0'
) returns void language plpgsql as $$
declare
  add text := format(
    'insert into tallies as t (org_id, subject, status, phase, slot, number) '
    'select org_id, %L, (%s)::smallint, (%s)::smallint, %%s, sum(change) from (%%s) changed where %s '
    'group by 1, 3, 4 having sum(change) <> 0 '
    'on conflict (org_id, subject, status, phase, slot) do update set number = t.number + excluded.number',
    subject::text, status, phase, condition);
  body text := 'create function %I() returns %s language plpgsql as $f$ begin %s; %s end $f$';
  own text := 'pg_backend_pid()';
  moved text := (select string_agg(format('old.%1$I is distinct from new.%1$I', name), ' or ') from unnest(columns) name);
begin
  execute format(body, 'tally_inserted_' || subject, 'trigger',
    format(add, own, 'select *, 1 as change from inserted'), 'return null;');
  execute format(body, 'tally_deleted_' || subject, 'trigger',
    format(add, own, 'select *, -1 as change from deleted'), 'return null;');
  execute format(body, 'tally_moved_' || subject, 'trigger',
    format(add, own, 'select new.*, 1 as change union all select old.*, -1'), 'return null;');
  execute format(
    'create trigger tally_inserted after insert on %s referencing new table as inserted '
    'for each statement execute function %I()', subject, 'tally_inserted_' || subject);
  execute format(
    'create trigger tally_deleted after delete on %s referencing old table as deleted '
    'for each statement execute function %I()', subject, 'tally_deleted_' || subject);
  if moved is not null then
    execute format(
      'create trigger tally_moved after update on %s for each row when (%s) execute function %I()',
      subject, moved, 'tally_moved_' || subject);
  end if;
  -- Nothing is written meanwhile that the count does not see and the triggers saw, or the other way round.
  execute format(body, 'recount_' || subject, 'void', format(
    'perform set_config(''app.across'', ''on'', true); lock table %1$s in share row exclusive mode; '
    'delete from tallies t where t.subject = %1$L; %2$s', subject::text,
    format(add, '0', format('select *, 1 as change from %s', subject))), '');
  execute format('select %I()', 'recount_' || subject);
end $$;

-- Takes back what `tally` made.
create function tally_no_more(subject regclass) returns void language plpgsql as $$
begin
  execute format('drop trigger tally_inserted on %s', subject);
  execute format('drop trigger tally_deleted on %s', subject);
  execute format('drop trigger if exists tally_moved on %s', subject);
  execute format('drop function %I()', 'tally_inserted_' || subject);
  execute format('drop function %I()', 'tally_deleted_' || subject);
  execute format('drop function %I()', 'tally_moved_' || subject);
  execute format('drop function %I()', 'recount_' || subject);
  perform set_config('app.across', 'on', true);
  delete from tallies t where t.subject = tally_no_more.subject::text;
end $$;

-- migrate:down

set local lock_timeout = '5s';

drop function tally;
drop function tally_no_more;
drop table tallies;
