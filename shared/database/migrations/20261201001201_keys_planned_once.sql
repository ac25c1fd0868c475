-- migrate:up

set local lock_timeout = '5s';

-- The same keys as before. PostgreSQL plans the expression of a generated column anew in each statement, and puts a function
-- in SQL into it, letter by letter: 24 µs of an insert. A function in PL/pgSQL is planned once in a connection.
-- CREATE OR REPLACE leaves the columns and indexes that depend on them as they are. A restore runs without a search path.
create or replace function name_key_of(name text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  if octet_length(name) = length(name) then -- ASCII, where all of the below is this
    return left(btrim(lower(name collate pg_unicode_fast)), 255) || e'\x01'
      || left(lower(name collate pg_unicode_fast), 190) || e'\x01' || left(name, 190);
  end if;
  return left(public.letters_of(name), 255) || e'\x01' || left(casefold(normalize(name, nfc) collate pg_unicode_fast), 190)
    || e'\x01' || left(name, 190);
end $$;

create or replace function email_key_of(address text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return casefold(normalize(address, nfc) collate pg_c_utf8);
end $$;

-- migrate:down

set local lock_timeout = '5s';

create or replace function name_key_of(name text) returns text
language sql immutable strict parallel safe
return case
  when octet_length(name) = length(name) then -- ASCII, where all of the below is this
    left(btrim(lower(name collate pg_unicode_fast)), 255) || e'\x01' || left(lower(name collate pg_unicode_fast), 190)
      || e'\x01' || left(name, 190)
  else
    left(letters_of(name), 255) || e'\x01' || left(casefold(normalize(name, nfc) collate pg_unicode_fast), 190)
      || e'\x01' || left(name, 190)
end;

create or replace function email_key_of(address text) returns text
language sql immutable strict parallel safe
return casefold(normalize(address, nfc) collate pg_c_utf8);
