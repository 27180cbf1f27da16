-- Deletes all neighbours, before new ones are inserted.
--
-- writes:  recs.similar_items
delete from recs.similar_items
