-- When an event happened: no later than it came in, whatever its clock said.
create or replace temp macro happened_at(occurred_at, received_at) as least(occurred_at, received_at)
