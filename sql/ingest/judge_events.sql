-- The first good row of each event_id, with the content of that event_id in the lake.
--
-- grain:   one row per event_id of the files
-- reads:   staging.staged, raw.events
create or replace temp table judged as
with firsts as (
    select
        event_id,
        min(rowid) as row_no,
        bool_or(is_given) as is_given
    from staging.staged
    where rule is null
    group by event_id
),

-- materialized: DuckDB 1.5.5 otherwise runs both joins in one pipeline and takes minutes for 5,000 event ids that the lake does not have
known as materialized (
    select
        events.event_id,
        content(
            events.user_id, events.item_id, events.event_type, events.value, events.query, events.occurred_at, events.context
        ) as content
    from raw.events as events
    where events.event_id in (select firsts.event_id from firsts)
)

select
    firsts.event_id,
    firsts.row_no,
    firsts.is_given,
    known.content as known_content,
    known.event_id is not null as is_known
from firsts
left join known on firsts.event_id = known.event_id
