-- The keys that occur in the documents of a file, in the order of their first appearance.
--
-- returns: name
select name
from (
    select unnest(json_keys(document)) as name
    from source_rows
    where json_valid(document)
        and json_type(document) = 'OBJECT'
)
group by name
order by name
