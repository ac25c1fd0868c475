-- migrate:up

set local lock_timeout = '5s';

-- Whoever runs as the service can tell whether the schema is that of its release: `serx migrate --wait`.
do $$ begin
  execute format('grant select on schema_migrations to %I', regexp_replace(current_user, '_owner$', ''));
end $$;

-- migrate:down

set local lock_timeout = '5s';

do $$ begin
  execute format('revoke select on schema_migrations from %I', regexp_replace(current_user, '_owner$', ''));
end $$;
