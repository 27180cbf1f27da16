-- Inserts the last search of each user into whom somebody was merged.
--
-- grain:   one row per user
-- reads:   merged_searches (temporary)
-- writes:  features.user_searches
insert into features.user_searches by name
select *
from merged_searches
order by user_id
