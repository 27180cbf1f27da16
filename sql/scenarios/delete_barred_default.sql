-- Deletes the lists of the default scenario with an item that no list may have any more; the rows that stay are in kept.
--
-- reads:   barred (registered: scenario, item_id), recs.recommendations
-- writes:  recs.recommendations
delete from recs.recommendations
where user_id in (
        select found.user_id
        from recs.recommendations as found
        where found.item_id in (select barred.item_id from barred where barred.scenario = 'default')
    )
