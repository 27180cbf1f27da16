-- Items with titles of random words, in 200 categories.
--
-- grain:   one row per item
-- params:  $n_items
-- writes:  raw.items
insert into raw.items by name
select
    'item-' || i as item_id,
    format(
        '{} {} {}',
        ['small', 'red', 'warm', 'quiet', 'folding', 'wooden', 'light', 'blue', 'old', 'soft'][(1 + hash(i) % 10)::bigint],
        ['lamp', 'tent', 'chair', 'guitar', 'kettle', 'jacket', 'novel', 'drill', 'puzzle', 'vase'][(1 + hash(i + 1) % 10)::bigint],
        i
    ) as title,
    ['Department ' || (i % 20), 'Category ' || (i % 200)] as categories,
    5 + (hash(i + 2) % 20000) / 100.0 as price,
    hash(i + 3) % 50 <> 0 as is_available,
    timestamp '2026-08-01 00:00:00' as first_seen_at,
    timestamp '2026-08-01 00:00:00' as updated_at
from range($n_items) as t (i)
