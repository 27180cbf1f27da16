-- Which list an event answers, and at which place of it; impressions count for no trend of an interest.
--
-- grain:   one row per event; one row per interest and hour
-- reads:   raw.events, recs.interests, recs.item_interests
alter table raw.events add column recommendation_id varchar;
alter table raw.events add column position integer;
comment on column raw.events.recommendation_id is 'The list that the event answers; null if unknown';
comment on column raw.events.position is 'Rank of the item in that list, from 1; null if unknown';
comment on column raw.events.event_type is 'view, click, cart, purchase, rating, search, impression, return, or any other name';

create or replace view recs.interest_trends as
with happened as (
    select
        item_id,
        date_trunc('hour', least(occurred_at, received_at)) as hour
    from raw.events
    where item_id is not null
        and event_type not in ('return', 'impression')
),

newest as (
    select max(hour) as hour
    from happened
),

week as (
    select
        happened.item_id,
        happened.hour,
        count(*) as n
    from happened
    inner join newest
        on happened.hour > newest.hour - interval 8 day
    group by happened.item_id, happened.hour
),

hours as (
    select distinct hour
    from week
),

counted as (
    select
        members.interest_id,
        week.hour,
        sum(week.n * members.share) as n_events
    from week
    inner join recs.item_interests as members
        on week.item_id = members.item_id
    group by members.interest_id, week.hour
),

grid as (
    select
        interests.interest_id,
        interests.dimension,
        interests.name,
        hours.hour,
        coalesce(counted.n_events, 0) as n_events
    from recs.interests as interests
    cross join hours
    left join counted
        on interests.interest_id = counted.interest_id
            and hours.hour = counted.hour
),

compared as (
    select
        *,
        sum(n_events) over (partition by dimension, hour) as n_hour,
        sum(n_events) over day_before as n_before
    from grid
    window
        day_before as (
            partition by interest_id
            order by hour range between interval 24 hour preceding and interval 1 hour preceding
        )
),

shares as (
    select
        *,
        n_events / nullif(n_hour, 0) as share,
        n_before / nullif(sum(n_before) over (partition by dimension, hour), 0) as share_before
    from compared
)

select
    shares.interest_id,
    shares.name,
    shares.hour,
    shares.n_events,
    shares.share,
    shares.share_before,
    (shares.n_events + 10 * shares.share_before) / (shares.n_hour + 10) - shares.share_before as change
from shares
inner join newest
    on shares.hour > newest.hour - interval 7 day
where shares.n_events > 0
    or shares.n_before > 0;
comment on view recs.interest_trends is
'Interests by hour (UTC), newest seven days: events, share, and its change against 24 hours, damped as by ten usual events';
