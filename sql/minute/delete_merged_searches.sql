-- Deletes the searches of merged users and their aliases, before the last one of both is inserted.
--
-- reads:   merged (registered: alias, user_id)
-- writes:  features.user_searches
delete from features.user_searches
where user_id in (
        select merged.alias from merged
        union all
        select merged.user_id from merged
    )
