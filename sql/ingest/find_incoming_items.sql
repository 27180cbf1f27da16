-- The description of each item in the files: for every field the most frequent value; among equally frequent values, the last one.
-- In the log of the API, the last value counts, as each row there is a change.
--
-- It is merged with the description in the lake: a value of the files replaces the lake's value, a missing value replaces nothing.
--
-- grain:   one row per item of the files
-- reads:   staging.staged, raw.items
create or replace temp table incoming as
with good as (
    select
        rowid as row_no,
        *
    from staging.staged
    where rule is null
),

field_values as (
    select
        row_no,
        item_id,
        unnest(['title', 'description', 'categories', 'tags', 'price', 'is_available']) as field,
        unnest([title, description, to_json(categories)::varchar, to_json(tags)::varchar, price::varchar, is_available::varchar]) as text
    from good
),

counted as (
    select
        item_id,
        field,
        text,
        case when getvariable('is_log') then 1 else count(*) end as n_rows,
        max(row_no) as last_row
    from field_values
    where text is not null
    group by item_id, field, text
),

best as (
    select
        item_id,
        field,
        text
    from counted
    qualify row_number() over (partition by item_id, field order by n_rows desc, last_row desc) = 1
),

described as (
    select
        item_id,
        any_value(text) filter (where field = 'title') as title,
        any_value(text) filter (where field = 'description') as description,
        from_json(any_value(text) filter (where field = 'categories'), '["varchar"]') as categories,
        from_json(any_value(text) filter (where field = 'tags'), '["varchar"]') as tags,
        any_value(text) filter (where field = 'price')::double as price,
        any_value(text) filter (where field = 'is_available')::boolean as is_available
    from best
    group by item_id
),

firsts as (
    select
        item_id,
        min(row_no) as row_no
    from good
    group by item_id
),

merged as (
    select
        firsts.item_id,
        firsts.row_no,
        items.item_id is null as is_new,
        coalesce(described.title, items.title) as title,
        coalesce(described.description, items.description) as description,
        coalesce(described.categories, items.categories) as categories,
        coalesce(described.tags, items.tags) as tags,
        coalesce(described.price, items.price) as price,
        coalesce(described.is_available, items.is_available, true) as is_available,
        [
            items.title,
            items.description,
            items.categories::varchar,
            items.tags::varchar,
            items.price::varchar,
            items.is_available::varchar
        ] as before
    from firsts
    left join described on firsts.item_id = described.item_id
    left join raw.items as items on firsts.item_id = items.item_id
)

select
    * exclude (before),
    not is_new
    and before <> [title, description, categories::varchar, tags::varchar, price::varchar, is_available::varchar] as is_changed
from merged
