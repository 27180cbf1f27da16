-- What interests there are, which items belong to them, who has them, and which rise and fall.
--
-- grain:   one row per interest; item and interest; user, horizon and interest; interest and hour
-- reads:   raw.events, recs.interests, recs.item_interests
create table recs.interests (
    interest_id varchar not null,
    kind varchar not null,
    dimension varchar not null,
    parent_id varchar,
    name varchar not null,
    terms varchar[] not null,
    n_items bigint not null,
    model_version varchar not null,
    mlflow_run_id varchar not null,
    flow_run_id varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table recs.interests is
'The interests of the catalogue: its labels, facets such as decades, and clusters of texts where labels are missing';
comment on column recs.interests.interest_id is 'Stays the same from night to night, such as label:horror, decade:1970 or cluster:12';
comment on column recs.interests.kind is 'label, facet or cluster';
comment on column recs.interests.dimension is 'topic, tag, decade or price; probabilities and shares sum to 1 within a dimension';
comment on column recs.interests.parent_id is 'The broader interest; null at the top';
comment on column recs.interests.name is 'Name for people';
comment on column recs.interests.terms is 'Words that distinguish the titles of its items from those of other interests, best first';
comment on column recs.interests.n_items is 'Items that belong to it or to a narrower interest';
comment on column recs.interests.model_version is 'Version of the registered model minutehand';
comment on column recs.interests.mlflow_run_id is 'The MLflow run that trained it';
comment on column recs.interests.flow_run_id is 'The Prefect flow run that published it';
comment on column recs.interests.data_snapshot is 'The lake snapshot that was read';
comment on column recs.interests.generated_at is 'Time of scoring, UTC';

create table recs.item_interests (
    item_id varchar not null,
    interest_id varchar not null,
    share float not null,
    model_version varchar not null,
    mlflow_run_id varchar not null,
    flow_run_id varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table recs.item_interests is 'Which interests each item belongs to: only the narrowest ones';
comment on column recs.item_interests.item_id is 'The item';
comment on column recs.item_interests.interest_id is 'The interest, in recs.interests';
comment on column recs.item_interests.share is 'Its share in the item; the shares of an item sum to 1 within each dimension';
comment on column recs.item_interests.model_version is 'Version of the registered model minutehand';
comment on column recs.item_interests.mlflow_run_id is 'The MLflow run that trained it';
comment on column recs.item_interests.flow_run_id is 'The Prefect flow run that published it';
comment on column recs.item_interests.data_snapshot is 'The lake snapshot that was read';
comment on column recs.item_interests.generated_at is 'Time of scoring, UTC';

create table recs.user_interests (
    user_id varchar not null,
    horizon varchar not null,
    interest_id varchar not null,
    kind varchar not null,
    name varchar not null,
    probability float not null,
    evidence varchar[] not null,
    model_version varchar not null,
    mlflow_run_id varchar not null,
    flow_run_id varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table recs.user_interests is
'P(interest | behaviour): the strongest interests of each user, short and long term; user * has those of everybody';
comment on column recs.user_interests.user_id is 'The user, or * for unknown users';
comment on column recs.user_interests.horizon is 'short: the next item; long: the items of the next four weeks';
comment on column recs.user_interests.interest_id is 'The interest, in recs.interests';
comment on column recs.user_interests.kind is 'label, facet or cluster, as in recs.interests';
comment on column recs.user_interests.name is 'Name for people, as in recs.interests';
comment on column recs.user_interests.probability is
'Expected share of the interest; sums to at most 1 within a horizon and a dimension of recs.interests';
comment on column recs.user_interests.evidence is
'Items of the user that speak most for it, best first; empty if it comes from what others do';
comment on column recs.user_interests.model_version is 'Version of the registered model minutehand';
comment on column recs.user_interests.mlflow_run_id is 'The MLflow run that trained it';
comment on column recs.user_interests.flow_run_id is 'The Prefect flow run that published it';
comment on column recs.user_interests.data_snapshot is 'The lake snapshot that was read';
comment on column recs.user_interests.generated_at is 'Time of scoring, UTC';

create view recs.interest_trends as
with happened as (
    select
        item_id,
        date_trunc('hour', least(occurred_at, received_at)) as hour
    from raw.events
    where item_id is not null
        and event_type <> 'return'
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
