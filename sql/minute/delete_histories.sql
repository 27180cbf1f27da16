-- Deletes the histories of the users with new events or merges, and of the merged ids, before new ones are inserted.
--
-- reads:   renewed (registered: user_id), merged (registered: alias)
-- writes:  features.user_histories
delete from features.user_histories
where user_id in (
        select renewed.user_id from renewed
        union all
        select merged.alias from merged
    )
