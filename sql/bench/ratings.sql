-- Random ratings, one second apart.
--
-- grain:   one row per rating
-- params:  variable n_rows
create or replace temp view ratings as
select
    (hash(i) % 50000)::bigint as "userId",
    (hash(i + 1000000007) % 20000)::bigint as "movieId",
    1 + (hash(i + 7) % 10)::bigint as rating,
    1500000000 + i as timestamp
from range(getvariable('n_rows')) as t (i)
