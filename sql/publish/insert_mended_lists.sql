-- Puts the mended lists in the place of past ones.
--
-- grain:   one row per scenario and user
-- reads:   mended_lists (temporary: as create_mended_lists makes it)
-- writes:  past_lists (temporary: as create_past_lists makes it)
insert into past_lists by name
select *
from mended_lists
