-- The time for which lists are made: scores depend on how long ago a user's last event is.
--
-- grain:   one row per publish
alter table recs.publications add column asked_at timestamp;
comment on column recs.publications.asked_at is 'Time of the request for which the lists are made, UTC; null if unknown';
