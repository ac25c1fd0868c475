-- migrate:up

set local lock_timeout = '5s';

-- What e-mail addresses are compared by: without case, in one normal form, and the same in every database, because the
-- collation is named. A column that is searched holds it (see docs/decisions/0015-one-key-for-addresses.md).
create function email_key_of(address text) returns text
language sql immutable strict parallel safe
return casefold(normalize(address, nfc) collate pg_c_utf8);

-- migrate:down

set local lock_timeout = '5s';

drop function email_key_of;
