-- Whether the lists that were live with a version are known as a whole: it has published, and the history of lists reaches back to then.
--
-- grain:   one row
-- params:  $version
-- reads:   recs.publications, recs.list_history
-- returns: has_lists
select
    coalesce(
        (
            select max(p.published_at)
            from recs.publications as p
            where p.model_version = $version
        ) >= (
            select min(past.published_at)
            from recs.list_history as past
            where past.user_id = '*'
                and past.scenario = 'default'
        ),
        false
    ) as has_lists
