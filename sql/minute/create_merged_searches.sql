-- The last search of each user into whom somebody was merged, of all their ids.
--
-- grain:   one row per user who has searched
-- reads:   merged (registered: alias, user_id), features.user_searches
-- returns: the temporary table merged_searches: the columns of features.user_searches
create or replace temp table merged_searches as
with ids as (
    select
        merged.user_id,
        merged.alias as id
    from merged
    union
    select
        merged.user_id,
        merged.user_id as id
    from merged
)

select searches.* replace (ids.user_id as user_id)
from features.user_searches as searches
inner join ids on searches.user_id = ids.id
qualify row_number() over (partition by ids.user_id order by searches.occurred_at desc, searches.user_id) = 1
