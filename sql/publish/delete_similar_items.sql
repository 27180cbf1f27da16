-- Make room for the new neighbours.
--
-- writes:  recs.similar_items
delete from recs.similar_items
