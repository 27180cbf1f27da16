-- How trendy the items of a history were when their events happened: the model tells followers of trends by it.
--
-- grain:   one row per user
alter table features.user_histories add column trends float[];
comment on column features.user_histories.trends is
'Log of the decayed count (half-life one day) of each item at the time of its event; null if unknown';
