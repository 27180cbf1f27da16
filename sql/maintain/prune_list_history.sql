-- Deletes past lists that nobody was shown any more at a time. The list that a user had then stays, however old it is.
--
-- params:  $older_than (timestamp, UTC)
-- reads:   recs.list_history
-- writes:  recs.list_history
delete from recs.list_history
where published_at < $older_than
    and (
        len(item_ids) = 0
        or (user_id, scenario, published_at) not in (
            select (past.user_id, past.scenario, max(past.published_at))
            from recs.list_history as past
            where past.published_at < $older_than
            group by past.user_id, past.scenario
        )
    )
