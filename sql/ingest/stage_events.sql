-- The rows of one file as events, each with the first rule that it breaks, if any.
--
-- grain:   one row per input row
-- params:  $file_no (integer), $predicate (varchar), $max_chars (integer), $latest (timestamp, UTC)
-- reads:   mapped
-- writes:  staged
insert into staged by name
with trimmed as (
    select
        tidy(event_id) as given_id,
        as_id(user_id) as user_id,
        as_id(item_id) as item_id,
        coalesce(lower(tidy(event_type)), 'view') as event_type,
        tidy(value) as value_text,
        tidy(replace(query, chr(0), '')) as whole_query,
        tidy(occurred_at) as time_text,
        tidy(context) as context,
        passes,
        is_document,
        row_json
    from mapped
),

typed as (
    select
        *,
        try_cast(value_text as double) as value,
        as_time(time_text, getvariable('time_format')) as occurred_at,
        left(whole_query, $max_chars) as query
    from trimmed
),

checked as (
    select
        *,
        case
            when not is_document then 'the line is not a JSON object'
            when passes is distinct from true then 'the row does not satisfy --where'
            when user_id is null then 'user_id is empty'
            when contains(user_id, chr(0)) then 'user_id contains a NUL byte'
            when length(user_id) > 512 then 'user_id is longer than 512 characters'
            when event_type = 'search' and query is null then 'a search has no query'
            when event_type <> 'search' and item_id is null then 'item_id is empty'
            when contains(item_id, chr(0)) then 'item_id contains a NUL byte'
            when length(item_id) > 512 then 'item_id is longer than 512 characters'
            when contains(given_id, chr(0)) then 'event_id contains a NUL byte'
            when length(given_id) > 512 then 'event_id is longer than 512 characters'
            when contains(event_type, chr(0)) then 'event_type contains a NUL byte'
            when length(event_type) > 512 then 'event_type is longer than 512 characters'
            when time_text is null then 'occurred_at is empty'
            when occurred_at is null then 'occurred_at is not a time'
            when occurred_at > $latest then 'occurred_at is in the future'
            when value_text is not null and value is null then 'value is not a number'
            when not isfinite(value) then 'value is not finite'
            when context is not null and (not json_valid(context) or json_type(context) <> 'OBJECT') then 'context is not a JSON object'
        end as rule
    from typed
),

told as (
    select
        checked.* replace (
            case when event_type in ('purchase', 'cart') and value < 0 then 'return' else event_type end as event_type,
            case when event_type = 'search' then null else item_id end as item_id
        ),
        explain(
            rule,
            case split_part(rule, ' ', 1)
                when 'user_id' then user_id
                when 'item_id' then item_id
                when 'event_id' then given_id
                when 'event_type' then event_type
                when 'occurred_at' then time_text
                when 'value' then value_text
                when 'context' then context
                when 'the' then case when rule like '%--where' then $predicate end
            end
        ) as reason
    from checked
)

select
    $file_no as file_no,
    coalesce(given_id, content(user_id, item_id, event_type, value, query, occurred_at, context)) as event_id,
    given_id is not null as is_given,
    user_id,
    item_id,
    event_type,
    value,
    query,
    occurred_at,
    context,
    coalesce(rule is null and length(whole_query) > $max_chars, false)::integer as n_cut,
    rule,
    reason,
    case when rule is not null then row_json end as row_json
from told
