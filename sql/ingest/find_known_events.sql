-- Good rows of the files whose events were already in the lake.
--
-- grain:   one row per staged row
-- reads:   judged, staging.staged
create or replace temp table known as
select staged.rowid as row_no
from staging.staged
inner join judged on staged.event_id = judged.event_id
where staged.rule is null
    and staged.flaw is null
    and judged.is_known
