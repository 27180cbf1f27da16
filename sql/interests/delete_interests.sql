-- Deletes all interests.
--
-- writes:  recs.interests
delete from recs.interests
