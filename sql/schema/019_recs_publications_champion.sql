-- Nightly version behind each publication: its hold-out measures the quality of the increments.
--
-- grain:   one row per publish
alter table recs.publications add column champion varchar;
comment on column recs.publications.champion is
'Nightly version that the model is based on: its own version, unless it is an increment; null if unknown';
