-- The distinct keys in the documents of a file, sorted.
--
-- returns: name
select name
from (
    select unnest(json_keys(c0)) as name
    from source_rows
    where json_valid(c0)
        and json_type(c0) = 'OBJECT'
)
group by name
order by name
