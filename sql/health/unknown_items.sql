-- Share of the last hour's events whose item was not in the catalogue when they arrived, with a band from the 28 days before.
--
-- An hour counts from ten events on. The band ends $width times above what 99 % of the hours had, and a tenth of the events above that.
--
-- grain:   one row, or none without a catalogue
-- params:  $now (timestamp, UTC), $width
-- reads:   raw.events, raw.items
-- returns: check_name, value (null with fewer than ten events), usual, low (null), high, n_days (days of history)
with happened as (
    select
        floor(epoch($now::timestamp - happened_at(occurred_at, received_at)) / 3600)::integer as hours_ago,
        item_id,
        received_at
    from raw.events
    where happened_at(occurred_at, received_at) > $now::timestamp - interval 29 day
        and happened_at(occurred_at, received_at) <= $now::timestamp
        and received_at <= $now::timestamp
        and item_id is not null
),

hours as (
    select
        happened.hours_ago,
        avg((items.item_id is null)::integer) as share
    from happened
    left join raw.items as items
        on happened.item_id = items.item_id
            and happened.received_at >= items.first_seen_at
    group by happened.hours_ago
    having count(*) >= 10
),

span as (
    select greatest(coalesce(max(hours_ago), -1) + 1, 24)::integer // 24 - 1 as n_days
    from happened
)

select
    'unknown items' as check_name,
    (select newest.share from hours as newest where newest.hours_ago = 0) as value,
    median(hours.share) as usual,
    null::double as low,
    0.1 + $width * quantile_cont(hours.share, 0.99) as high,
    any_value(span.n_days) as n_days
from span
left join hours
    on hours.hours_ago >= 24
where exists (select 1 from raw.items)
having count(*) > 0
