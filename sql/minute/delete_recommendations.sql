-- Make room for the new lists of some users.
--
-- reads:   at_hand (registered: user_id)
-- writes:  recs.recommendations
delete from recs.recommendations
where user_id in (select at_hand.user_id from at_hand)
