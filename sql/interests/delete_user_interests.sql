-- Deletes the interests of the given users, or of all.
--
-- params:  $is_all
-- reads:   renewed (registered: user_id)
-- writes:  recs.user_interests
delete from recs.user_interests
where $is_all
    or user_id in (select renewed.user_id from renewed)
