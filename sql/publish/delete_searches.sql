-- Deletes all searches, before new ones are inserted.
--
-- writes:  features.user_searches
delete from features.user_searches
