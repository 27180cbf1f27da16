-- What became of the impressions and clicks from an hour on.
--
-- grain:   one row
-- params:  $since (timestamp, UTC)
-- reads:   acts, seen, served, published, fresh, attributed (temporary, as the statements before make them)
-- returns: n_shown, n_repeats, n_bots, n_foreign (the list did not hold the item), n_unlisted (no list did), n_clicks_without
select
    (select count(*) from fresh) as n_shown,
    count(*) filter (where seen.refusal = 'repeat') as n_repeats,
    count(*) filter (where seen.refusal = 'bot') as n_bots,
    count(*) filter (where served.place = 0) as n_foreign,
    count(*) filter (where seen.refusal is null and served.place is null and published.place is null) as n_unlisted,
    (
        select count(*)
        from acts
        where acts.act = 'click'
            and acts.happened_at >= $since
            and acts.event_id not in (select attributed.event_id from attributed)
    ) as n_clicks_without
from seen
left join served
    on seen.event_id = served.event_id
left join published
    on seen.event_id = published.event_id
where seen.happened_at >= $since
