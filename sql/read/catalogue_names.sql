-- What a generated text could name: the titles of all items, their categories and tags, and the interests.
--
-- grain:   one row
-- params:  none
-- reads:   raw.items, recs.interests
-- returns: titles, labels
with labels as (
    select unnest(list_concat(coalesce(categories, []), coalesce(tags, []))) as label
    from raw.items
    union
    select name as label
    from recs.interests
)

select
    (select coalesce(list(distinct title order by title) filter (where title is not null), []) from raw.items) as titles,
    (select coalesce(list(label order by label) filter (where label is not null), []) from labels) as labels
