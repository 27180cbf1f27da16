-- Deletes all histories, before new ones are inserted.
--
-- writes:  features.user_histories
delete from features.user_histories
