-- Which night's version a publish goes back to: its hold-out says how good a minute's increment is.
--
-- grain:   one row per publish
alter table recs.publications add column champion varchar;
comment on column recs.publications.champion is
'Version of the night that the model goes back to: its own, unless it is an increment; null where it was not noted';
