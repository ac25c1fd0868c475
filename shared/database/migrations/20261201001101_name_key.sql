-- migrate:up

set local lock_timeout = '5s';

-- The letters of a name without case and marks: what sorts first (see docs/decisions/0017-names-sort-by-a-stored-key.md).
-- Marks are those of Unicode that go over or under a letter and are none themselves; vowel signs are letters. Letters
-- with a stroke have no mark that could be taken off. What cannot be seen does not count.
create function letters_of(name text) returns text
language sql immutable strict parallel safe
return btrim(normalize(
  translate(replace(replace(replace(
    casefold(
      regexp_replace(
        normalize(name collate pg_unicode_fast, nfkd),
        '[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670'
        '\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u093c\u09bc\u0a3c\u0abc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff'
        '\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+',
        '', 'g')),
    'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
  'øłđðħŧı', 'olddhti'), nfc));

-- What names are sorted by: their letters, then with marks, then as they are written; U+0001 is between them. The same in
-- every database, because each collation is named. Cut, so that it fits into an index: names alike in their first 190
-- characters, marks and all, may sort as if they were one.
create function name_key_of(name text) returns text
language sql immutable strict parallel safe
return case
  when octet_length(name) = length(name) then -- ASCII, where all of the below is this
    left(btrim(lower(name collate pg_unicode_fast)), 255) || e'\x01' || left(lower(name collate pg_unicode_fast), 190)
      || e'\x01' || left(name, 190)
  else
    left(letters_of(name), 255) || e'\x01' || left(casefold(normalize(name, nfc) collate pg_unicode_fast), 190)
      || e'\x01' || left(name, 190)
end;

-- migrate:down

set local lock_timeout = '5s';

drop function name_key_of;
drop function letters_of;
