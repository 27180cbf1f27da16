-- Inserts the new events, in the order of files and rows.
--
-- grain:   one row per event
-- reads:   judged, staging.staged
-- writes:  raw.events
insert into raw.events by name
select
    staged.event_id,
    staged.user_id,
    staged.item_id,
    staged.event_type,
    staged.value,
    staged.query,
    staged.occurred_at,
    now()::timestamp as received_at,
    staged.context,
    staged.recommendation_id,
    staged.position
from staging.staged
inner join judged on staged.rowid = judged.row_no
where not judged.is_known
order by staged.rowid
