-- The time of an event, at most its arrival time: the clock of the sender may be ahead.
create or replace temp macro happened_at(occurred_at, received_at) as least(occurred_at, received_at)
