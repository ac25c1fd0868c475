-- migrate:up

set local lock_timeout = '5s';

-- What operators list: flows of a state, oldest first, over all organisations. Finished ones are kept for ever.
-- Flows wait while it is built, some seconds for a million; a flow that waits loses nothing.
-- squawk-ignore require-concurrent-index-creation
create index sagas_by_state on sagas (status, started_at, id);

-- migrate:down

set local lock_timeout = '5s';

-- squawk-ignore require-concurrent-index-deletion
drop index sagas_by_state;
