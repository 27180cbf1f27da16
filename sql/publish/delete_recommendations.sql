-- Make room for the new lists.
--
-- writes:  recs.recommendations
delete from recs.recommendations
