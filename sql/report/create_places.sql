-- The first ten places of all lists of users, as published now and as they were after the night before.
--
-- grain:   one row per list, place and time (is_now)
-- reads:   recs.recommendations, recs.list_history, recs.publications
create or replace temp table places as
with nights as (
    select
        published_at,
        row_number() over (order by published_at desc) as number
    from recs.publications
    where cadence = 'nightly'
),

before as (
    select
        user_id,
        arg_max(item_ids, published_at) as item_ids
    from recs.list_history
    where scenario = 'default'
        and user_id <> '*'
        and published_at < (
            select (max(nights.published_at) + interval 1 microsecond)::timestamp
            from nights
            where nights.number = 2
        )
    group by user_id
)

select
    true as is_now,
    user_id,
    rank as place,
    item_id
from recs.recommendations
where rank <= 10
    and user_id <> '*'
union all
select
    false as is_now,
    user_id,
    generate_subscripts(item_ids[1:10], 1) as place,
    unnest(item_ids[1:10]) as item_id
from before
