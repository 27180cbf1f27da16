-- Erasures change lists, too: each adds a publication.
comment on column recs.publications.cadence is
'nightly (all users), minute (users with new events, and some users with stale lists) or erasure (people are gone from all lists)';
