-- What a user had before the events that his history keeps: hidden from his list as the kept ones are.
--
-- grain:   one row per user
alter table features.user_histories add column earlier_item_ids varchar[];
comment on column features.user_histories.earlier_item_ids is
'Distinct items of the events before those kept here, in order of their ids; null where they are not known';
