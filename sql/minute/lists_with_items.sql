-- Users with a stale list, oldest list first: a list with a moved item in its top ranks, or an unavailable item at any rank.
-- The scan ends after $n_most * $depth rows, enough for $n_most users. It follows lake order, so it finds older lists first.
--
-- Items of ops.moved_items moved in earlier runs. They count only for lists from an older snapshot, not refreshed since.
-- Unavailable items need not be among the moved items, so that lists which an earlier run could not refresh are found again.
-- '*' among the items means that an item is available again: users without a list then count as having the oldest list.
-- Items withdrawn before $older_than appear only in lists older than that, which are refreshed because of their age.
--
-- grain:   one row per user with a history or a search
-- params:  $depth (ranks that count), $n_most, $older_than (timestamp, UTC)
-- reads:   recs.recommendations, raw.items, features.user_histories, features.user_searches, ops.moved_items,
--          excluded (registered: user_id), moved (registered: item_id)
-- returns: user_id
with wanted as (
    select
        moves.item_id,
        max(moves.snapshot) as snapshot
    from (
        select
            moved.item_id,
            9223372036854775807 as snapshot
        from moved
        union all
        select
            waiting.item_id,
            waiting.snapshot
        from ops.moved_items as waiting
        where waiting.moved_at >= $older_than
    ) as moves
    group by moves.item_id
),

found as (
    select
        lists.user_id,
        lists.generated_at
    from recs.recommendations as lists
    inner join wanted
        on lists.item_id = wanted.item_id
            and lists.data_snapshot < wanted.snapshot
    where lists.user_id <> '*'
        and lists.rank <= $depth
        and lists.user_id not in (select excluded.user_id from excluded)
    limit $n_most * $depth -- noqa: AM09
),

-- a separate query: an `or` in `found` would read every list in full
gone as (
    select
        lists.user_id,
        lists.generated_at
    from recs.recommendations as lists
    where lists.user_id <> '*'
        and lists.item_id in (
            select items.item_id
            from raw.items as items
            where not items.is_available
                and items.updated_at >= $older_than
        )
        and lists.user_id not in (select excluded.user_id from excluded)
),

without_list as (
    select
        histories.user_id,
        timestamp '1970-01-01' as generated_at
    from features.user_histories as histories
    where '*' in (select wanted.item_id from wanted)
        and histories.user_id not in (select lists.user_id from recs.recommendations as lists where lists.rank = 1)
        and histories.user_id not in (select excluded.user_id from excluded)
)

select together.user_id
from (
    select * from found
    union all
    select * from gone
    union all
    select * from without_list
) as together
where together.user_id in (select histories.user_id from features.user_histories as histories)
    or together.user_id in (select searches.user_id from features.user_searches as searches)
group by together.user_id
order by min(together.generated_at), together.user_id
limit $n_most
