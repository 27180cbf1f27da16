-- What the weights behind each publication have learnt, so that an earlier model can be live again and go on from there.
--
-- grain:   one row per publish
alter table recs.publications add column learnt bigint;
comment on column recs.publications.learnt is
'The weights have learnt the events up to this lake snapshot, as ops.watermarks said then; null if unknown';
comment on column recs.publications.cadence is
'nightly (all users), minute (users with new events, and some with stale lists), erasure (people are gone); promote, rollback (by hand)';
