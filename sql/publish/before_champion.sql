-- The version that was live before the champion last changed, and the nightly version that it descends from.
--
-- grain:   one row, none if there was only one champion
-- reads:   recs.publications
-- returns: model_version, champion, now (the champion of today)
with publications as (
    select
        p.model_version,
        coalesce(p.champion, p.model_version) as champion,
        p.published_at,
        p.publication_id
    from recs.publications as p
),

newest as (
    select champion
    from publications
    order by published_at desc, publication_id desc
    limit 1
)

select
    publications.model_version,
    publications.champion,
    newest.champion as now
from publications
inner join newest
    on publications.champion <> newest.champion
order by publications.published_at desc, publications.publication_id desc
limit 1
