-- Takes the ids of people who opt out off the lists that the API answered with.
--
-- reads:   leaving (temporary: user_id)
-- writes:  ops.served
update ops.served
set user_id = null
where user_id in (select leaving.user_id from leaving)
