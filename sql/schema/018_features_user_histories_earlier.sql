-- Items of events older than the kept history; lists exclude them like the kept ones.
--
-- grain:   one row per user
alter table features.user_histories add column earlier_item_ids varchar[];
comment on column features.user_histories.earlier_item_ids is
'Distinct items of older events that are not kept here, ordered by id; null if unknown';
