-- The ledger of erasures: who asked, what was done when, and what is still due. It names no person.
--
-- grain:   one row per erasure and person
create table ops.erasures (
    erasure_id varchar not null,
    user_digest varchar not null,
    source varchar not null,
    requested_at timestamp not null,
    state varchar not null,
    steps varchar not null,
    snapshot bigint,
    weights_due_by timestamp,
    readmitted_at timestamp,
    certificate varchar
);
comment on table ops.erasures is 'Requests to erase people, and how far each has come; ids are stored as keyed digests only';
comment on column ops.erasures.erasure_id is 'The request; several people of one file share it';
comment on column ops.erasures.user_digest is
'Number of the key, and keyed digest of the id; the key is in privacy-keys.json in the home folder';
comment on column ops.erasures.source is 'cli, file, api or backup (found again in a restored lake)';
comment on column ops.erasures.requested_at is 'Time of the request, UTC';
comment on column ops.erasures.state is
'Last finished step: requested, lists (tables), memories (model versions), files (Parquet and snapshots), logs, done (weights)';
comment on column ops.erasures.steps is 'Time and counts of each step, as a JSON object';
comment on column ops.erasures.snapshot is
'First lake snapshot without the person; earlier ones are expired. Null until the tables are done';
comment on column ops.erasures.weights_due_by is 'A model that never saw the person is live by then, UTC, if nights run as scheduled';
comment on column ops.erasures.readmitted_at is 'Events that happen after this time are taken in again, UTC; null if none are';
comment on column ops.erasures.certificate is 'What was scanned and found afterwards, as JSON; null until then';
