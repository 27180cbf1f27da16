-- Deletes the lists of the given users, before new ones are inserted.
--
-- reads:   at_hand (registered: user_id)
-- writes:  recs.recommendations
delete from recs.recommendations
where user_id in (select at_hand.user_id from at_hand)
