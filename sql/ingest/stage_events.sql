-- The rows of one file as events, each with the first rule that the row breaks and the first rule that a value breaks.
--
-- grain:   one row per input row
-- params:  $file_no (integer), $predicate (varchar), $max_chars (integer), $earliest, $latest (timestamp, UTC)
-- reads:   mapped
-- writes:  staged
insert into staged by name
with trimmed as (
    select
        case when keeps('event_id') then tidy(event_id) end as given_text,
        tidy(user_id) as user_text,
        tidy(item_id) as item_text,
        coalesce(lower(tidy(event_type)), 'view') as event_type,
        case when keeps('value') then tidy(value) end as value_text,
        case when keeps('query') then tidy(replace(query, chr(0), '')) end as whole_query,
        tidy(occurred_at) as time_text,
        case when keeps('context') then context_kept(tidy(context)) end as context,
        context_left_out(tidy(context)) as left_out,
        case when keeps('recommendation_id') then tidy(recommendation_id) end as list_text,
        case when keeps('position') then tidy(position) end as position_text,
        passes,
        is_document,
        row_json
    from mapped
),

numbered as (
    select
        *,
        as_id(given_text) as given_id,
        as_id(user_text) as user_id,
        as_id(item_text) as item_id,
        as_id(list_text) as recommendation_id,
        try_cast(as_number(position_text, null) as decimal(18, 3)) as position_number,
        case when getvariable('time_format') is null then time_number(time_text) end as time_number
    from trimmed
),

plained as (
    select
        *,
        case when time_number is not null then compact_time(time_text) end as compact_time,
        case when getvariable('time_format') is null and time_number is null then plain_time(time_text) end as plain_time
    from numbered
),

parted as (
    select
        *,
        case when getvariable('time_format') is null and time_number is null and plain_time is null then time_parts(time_text) end as time_parts
    from plained
),

timed as (
    select
        *,
        case
            when getvariable('time_format') is not null then try_strptime(time_text, getvariable('time_format')::varchar)::timestamp
            when time_number is not null then coalesce(compact_time, unix_time(time_number))
            else coalesce(plain_time, local_time(time_parts, getvariable('day_first')::boolean))
        end as local_at,
        case
            when getvariable('time_format') is not null then case when getvariable('has_zone') then 'Z' else '' end
            when time_number is not null then case when compact_time is null then 'Z' else '' end
            when plain_time is null then time_parts.zone
            when ends_with(time_text, 'Z') or ends_with(time_text, '+00') then 'Z'
            else ''
        end as zone
    from parted
),

typed as (
    select
        *,
        as_number(value_text, getvariable('decimal_mark')::varchar) as value,
        as_utc(local_at, zone) as occurred_at,
        left(whole_query, $max_chars) as query
    from timed
),

checked as (
    select
        *,
        case
            when not is_document then 'the line is not a JSON object'
            when passes is distinct from true then 'the row does not satisfy --where'
            when user_id is null then 'user_id is empty'
            when contains(user_id, chr(0)) then 'user_id contains a NUL byte'
            when is_nested(user_id) then 'user_id is a JSON object or array'
            when length(user_id) > 512 then 'user_id is longer than 512 characters'
            when event_type = 'search' and not keeps('query') then 'searches are not kept'
            when event_type = 'search' and query is null then 'a search has no query'
            when event_type <> 'search' and item_id is null then 'item_id is empty'
            when contains(item_id, chr(0)) then 'item_id contains a NUL byte'
            when is_nested(item_id) then 'item_id is a JSON object or array'
            when length(item_id) > 512 then 'item_id is longer than 512 characters'
            when contains(given_id, chr(0)) then 'event_id contains a NUL byte'
            when is_nested(given_id) then 'event_id is a JSON object or array'
            when length(given_id) > 512 then 'event_id is longer than 512 characters'
            when contains(event_type, chr(0)) then 'event_type contains a NUL byte'
            when is_nested(event_type) then 'event_type is a JSON object or array'
            when length(event_type) > 512 then 'event_type is longer than 512 characters'
            when time_text is null then 'occurred_at is empty'
            when occurred_at is null and getvariable('day_first')::boolean is null and regexp_full_match(time_parts.date, '\d{1,2}\D\d{1,2}\D\d{4}')
                then 'occurred_at may have day or month first'
            when occurred_at is null then 'occurred_at is not a time'
            when occurred_at < $earliest then 'occurred_at is implausibly early'
            when occurred_at > $latest then 'occurred_at is in the future'
            when value_text is not null and value is null then 'value is not a number'
            when not isfinite(value) then 'value is not finite'
            when context is not null and (not json_valid(context) or json_type(context) <> 'OBJECT') then 'context is not a JSON object'
        end as rule,
        case
            when contains(recommendation_id, chr(0)) then 'recommendation_id contains a NUL byte'
            when is_nested(recommendation_id) then 'recommendation_id is a JSON object or array'
            when length(recommendation_id) > 512 then 'recommendation_id is longer than 512 characters'
            when position_text is not null
                and (position_number is null or position_number not between 1 and 1000000 or position_number <> trunc(position_number))
                then 'position is not a whole number from 1'
        end as flaw
    from typed
),

annotated as (
    select
        checked.* replace (
            case when event_type in ('purchase', 'cart') and value < 0 then 'return' else event_type end as event_type,
            case when event_type = 'search' then null else item_id end as item_id,
            case when rule is null or not starts_with(rule, 'user_id') then pseudonym(user_id) end as user_id,
            case when rule is null then flaw end as flaw
        ),
        case split_part(rule, ' ', 1)
            when 'user_id' then case when getvariable('pseudonym_keys') is null then user_text end
            when 'item_id' then item_text
            when 'event_id' then given_text
            when 'event_type' then event_type
            when 'occurred_at' then time_text
            when 'value' then value_text
            when 'context' then case when not coalesce(getvariable('hides_rows'), false) then context end
            when 'the' then case when rule like '%--where' then $predicate end
        end as offending,
        case when rule is null then case when flaw like 'position%' then position_text when flaw is not null then list_text end end as flaw_offending
    from checked
)

select
    $file_no as file_no,
    coalesce(
        given_id,
        case
            when recommendation_id is null or flaw is not null then content(user_id, item_id, event_type, value, query, occurred_at, context)
            else md5(concat(content(user_id, item_id, event_type, value, query, occurred_at, context), recommendation_id))
        end
    ) as event_id,
    given_id is not null as is_given,
    user_id,
    item_id,
    event_type,
    value,
    query,
    occurred_at,
    context,
    case when not coalesce(flaw like 'recommendation_id%', false) then recommendation_id end as recommendation_id,
    case when flaw is null then position_number::integer end as position,
    case
        when rule is not null or zone <> '' or getvariable('time_zone') = 'UTC' then null
        when timezone(getvariable('time_zone'), timezone(getvariable('time_zone'), local_at)) <> local_at then 'skipped'
        when local_at in (
            timezone(getvariable('time_zone'), timezone(getvariable('time_zone'), local_at) - interval 1 hour),
            timezone(getvariable('time_zone'), timezone(getvariable('time_zone'), local_at) + interval 1 hour)
        ) then 'twice'
    end as clock_change,
    coalesce(rule is null and length(whole_query) > $max_chars, false)::integer as n_cut,
    rule,
    explain(rule, offending) as reason,
    shown(offending) as offending,
    flaw,
    explain(flaw, flaw_offending) as flaw_reason,
    case when flaw is not null then shown(flaw_offending) end as flaw_offending,
    left_out,
    case when coalesce(rule, flaw) is not null or getvariable('keeps_rows')
        then
            case when not coalesce(getvariable('hides_rows'), false)
                then row_json
                else json_object(
                    'event_id', given_text, 'user_id', user_id, 'item_id', item_text, 'event_type', event_type, 'value', value_text,
                    'query', whole_query, 'occurred_at', time_text, 'context', case when is_json_object(context) then context end,
                    'recommendation_id', list_text, 'position', position_text
                )::varchar -- else the case makes JSON of row_json, which fails for a line that is none
            end
    end as row_json
from annotated
