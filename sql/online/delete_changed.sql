-- Deletes the outcomes from an hour on that are not as they should be.
--
-- params:  $since (timestamp, UTC)
-- reads:   fresh (temporary, as create_fresh makes it), eval.outcomes
-- writes:  eval.outcomes
delete from eval.outcomes
where shown_at >= $since
    and impression_id in (
        select changed.impression_id
        from (
            select old.* exclude (built_at)
            from eval.outcomes as old
            where old.shown_at >= $since
            except
            select fresh.*
            from fresh
        ) as changed
    )
