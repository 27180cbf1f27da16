-- Deletes all lists, before new ones are inserted.
--
-- writes:  recs.recommendations
delete from recs.recommendations
