-- Good rows of the files whose items were already in the lake.
--
-- grain:   one row per staged row
-- reads:   incoming, staging.staged
create or replace temp table known as
select staged.rowid as row_no
from staging.staged
inner join incoming on staged.item_id = incoming.item_id
where staged.rule is null
    and staged.flaw is null
    and not incoming.is_new
