-- Whether the lists of a publish leave out what their users already had, and why.
--
-- grain:   one row per publish
alter table recs.publications add column hides_seen_items boolean;
alter table recs.publications add column seen_items_setting varchar;
alter table recs.publications add column repeat_share double;
comment on column recs.publications.hides_seen_items is 'Whether lists exclude items that the user already had; null if unknown';
comment on column recs.publications.seen_items_setting is
'MINUTEHAND_EVALUATION__SEEN_ITEMS when the version was trained: hide, show, or auto, which decides by repeat_share';
comment on column recs.publications.repeat_share is 'Share of training events that repeat an earlier pair of user and item';
