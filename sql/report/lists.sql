-- How many users have a list, how many lists differ from those after the night before, and how much of the catalogue they show.
--
-- grain:   one row
-- reads:   places (temporary: is_now, user_id, place, item_id), raw.items, recs.publications
-- returns: n_users, n_before (users with a list after the night before), n_changed (of those with both), n_shown (items in a first
--          ten), n_items (items that lists may show), n_nights
with lists as (
    select
        user_id,
        string_agg(item_id, chr(10) order by place) filter (where is_now) as now,
        string_agg(item_id, chr(10) order by place) filter (where not is_now) as before
    from places
    group by user_id
)

select
    count(now) as n_users,
    count(before) as n_before,
    count(*) filter (where now <> before) as n_changed,
    (select count(distinct places.item_id) from places where places.is_now) as n_shown,
    (select count(*) from raw.items where is_available) as n_items,
    (select count(*) from recs.publications where cadence = 'nightly') as n_nights
from lists
