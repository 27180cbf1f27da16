-- Impressions with the reason why one does not count: a bot, or a repeat.
--
-- A user with more than $bot_impressions impressions within an hour counts as a bot for that hour. A repeat is the same item in the same
-- list for the same user less than $repeat_minutes after the impression before.
--
-- grain:   one row per impression
-- params:  $bot_impressions (bigint), $repeat_minutes (double)
-- reads:   acts (temporary, as create_acts makes it)
-- returns: seen (temporary: the columns of acts without act and value; refusal, null if it counts)
create or replace temp table seen as
with impressions as (
    select
        event_id,
        own_id,
        user_id,
        item_id,
        recommendation_id,
        position,
        happened_at,
        count(*) over (partition by user_id, date_trunc('hour', happened_at)) as n_in_hour,
        lag(happened_at) over (
            partition by user_id, item_id, coalesce(recommendation_id, '') order by happened_at, event_id
        ) as before_at
    from acts
    where act = 'impression'
)

select
    event_id,
    own_id,
    user_id,
    item_id,
    recommendation_id,
    position,
    happened_at,
    case
        when n_in_hour > $bot_impressions then 'bot'
        when happened_at - before_at < to_microseconds(($repeat_minutes * 60000000)::bigint) then 'repeat'
    end as refusal
from impressions
