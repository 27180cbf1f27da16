-- Deletes the histories of the users with new events, before new ones are inserted.
--
-- reads:   fresh (registered: user_id)
-- writes:  features.user_histories
delete from features.user_histories
where user_id in (select fresh.user_id from fresh)
