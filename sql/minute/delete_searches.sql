-- Deletes the searches of the users who have searched again, before new ones are inserted.
--
-- reads:   searched (registered: user_id)
-- writes:  features.user_searches
delete from features.user_searches
where user_id in (select searched.user_id from searched)
