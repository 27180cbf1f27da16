-- The interests of one user, short horizon first, each with the titles of the items that speak for it.
--
-- grain:   one row per horizon and interest
-- params:  $user_id
-- reads:   recs.user_interests, recs.interests, raw.items
-- returns: horizon, interest_id, kind, dimension, name, probability, evidence, evidence_titles, model_version, data_snapshot, generated_at
with mine as (
    select *
    from recs.user_interests
    where user_id = $user_id
),

cited as (
    select
        horizon,
        interest_id,
        unnest(evidence) as item_id,
        generate_subscripts(evidence, 1) as place
    from mine
),

titled as (
    select
        cited.horizon,
        cited.interest_id,
        list(coalesce(items.title, cited.item_id) order by cited.place) as titles
    from cited
    left join raw.items as items
        on cited.item_id = items.item_id
    group by cited.horizon, cited.interest_id
)

select
    mine.horizon,
    mine.interest_id,
    mine.kind,
    interests.dimension,
    mine.name,
    mine.probability,
    mine.evidence,
    coalesce(titled.titles, []) as evidence_titles,
    mine.model_version,
    mine.data_snapshot,
    mine.generated_at
from mine
left join recs.interests as interests
    on mine.interest_id = interests.interest_id
left join titled
    on mine.horizon = titled.horizon
        and mine.interest_id = titled.interest_id
order by mine.horizon desc, interests.dimension <> 'topic', interests.dimension, mine.probability desc, mine.interest_id
