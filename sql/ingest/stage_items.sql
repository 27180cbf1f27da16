-- The rows of one file as item descriptions, each with the first rule that the row breaks and the first rule that a value breaks.
--
-- grain:   one row per input row
-- params:  $file_no (integer), $predicate (varchar), $max_chars (integer)
-- reads:   mapped
-- writes:  staged
insert into staged by name
with typed as (
    select
        as_id(tidy(item_id)) as item_id,
        tidy(item_id) as item_text,
        tidy(replace(title, chr(0), '')) as whole_title,
        tidy(replace(description, chr(0), '')) as whole_description,
        as_list(categories, getvariable('separator')) as categories,
        as_list(tags, getvariable('separator')) as tags,
        tidy(price) as price_text,
        as_number(tidy(price), getvariable('decimal_mark')::varchar) as price,
        lower(tidy(is_available)) as availability,
        passes,
        is_document,
        row_json
    from mapped
),

checked as (
    select
        *,
        availability(availability) as is_available,
        case
            when not is_document then 'the line is not a JSON object'
            when passes is distinct from true then 'the row does not satisfy --where'
            when item_id is null then 'item_id is empty'
            when contains(item_id, chr(0)) then 'item_id contains a NUL byte'
            when is_nested(item_id) then 'item_id is a JSON object or array'
            when length(item_id) > 512 then 'item_id is longer than 512 characters'
        end as rule,
        case
            when price_text is not null and price is null then 'price is not a number'
            when not isfinite(price) then 'price is not finite'
            when price < 0 then 'price is negative'
            when availability is not null and is_available is null then 'is_available is neither true nor false'
        end as flaw
    from typed
),

annotated as (
    select
        checked.* replace (case when rule is null then flaw end as flaw),
        case when rule like '%--where' then $predicate when rule like 'item_id%' then item_text end as offending,
        case when rule is null then case when flaw like 'price%' then price_text else availability end end as flaw_offending
    from checked
)

select
    $file_no as file_no,
    item_id,
    left(whole_title, $max_chars) as title,
    left(whole_description, $max_chars) as description,
    categories,
    tags,
    case when isfinite(price) and price >= 0 then price end as price,
    is_available,
    case
        when rule is null
            then coalesce((length(whole_title) > $max_chars)::integer, 0) + coalesce((length(whole_description) > $max_chars)::integer, 0)
        else 0
    end as n_cut,
    rule,
    explain(rule, offending) as reason,
    shown(offending) as offending,
    flaw,
    explain(flaw, flaw_offending) as flaw_reason,
    case when flaw is not null then shown(flaw_offending) end as flaw_offending,
    case when coalesce(rule, flaw) is not null or getvariable('keeps_rows') then row_json end as row_json
from annotated
