-- Whether ids of people are pseudonyms, and who has opted out of lists of their own.
--
-- grain:   one row per change of the key; one row per person
create table ops.pseudonyms (
    key_number integer not null,
    since timestamp not null
);
comment on table ops.pseudonyms is
'Keys under which the ids of people are or were pseudonyms; the newest row counts; empty while ids are clear';
comment on column ops.pseudonyms.key_number is 'Number of the key; the key itself is in a file of the home, never in the lake';
comment on column ops.pseudonyms.since is 'Time from which all ids in the lake are pseudonyms under this key, UTC';

create table ops.opt_outs (
    user_id varchar not null,
    opted_out_at timestamp not null,
    opted_in_at timestamp
);
comment on table ops.opt_outs is 'People who have opted out: their events are kept, and their lists are those for everybody';
comment on column ops.opt_outs.user_id is 'The person, as the other tables name them';
comment on column ops.opt_outs.opted_out_at is 'Time of the request, UTC';
comment on column ops.opt_outs.opted_in_at is 'Time at which the person opted in again, UTC; null while they are out';
